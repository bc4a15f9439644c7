"""What viewers see of a real encoder's pictures when the scene changes or a page is loaded again in mid-call."""

from collections.abc import AsyncIterator

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from codec.render import render, to_rgb
from loadtest.receiver import StreamReceiver
from server.settings import Settings
from server.workers.pool import ENCODER
from tests.server.calls import publish, start_call, watch
from tests.server.conftest import RunningServer, run_server, until
from tests.server.media import PictureTrack

WIDTH, HEIGHT = 160, 96
GOOD_DB = 30.0  # of a scene that is shown: two different ones have about 9 dB


def scene(seed: int) -> npt.NDArray[np.uint8]:  # [height, width, 3]
    """Return a picture of soft spots."""
    spots = np.random.default_rng(seed).integers(0, 256, (6, 10, 3), np.uint8)
    return np.asarray(Image.fromarray(spots).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))


def psnr_db(receiver: StreamReceiver, picture: npt.NDArray[np.uint8]) -> float:
    """Return how near a receiver's picture is to another, 0 while it has none."""
    if receiver.state is None:
        return 0.0
    error = to_rgb(render(receiver.state, threads=1)).astype(np.float64) - picture
    return float(10 * np.log10(255**2 / np.mean(error**2)))


@pytest.fixture
async def real_server() -> AsyncIterator[RunningServer]:
    """A server whose one worker encodes."""
    async with run_server(Settings(workers=1, resume_s=0.0, importance=False), ENCODER) as running:
        yield running


async def test_a_scene_cut_in_mid_call_shows_the_new_scene(real_server: RunningServer) -> None:
    first, second = scene(1), scene(2)
    track = PictureTrack(first)
    publisher, viewer, receiver = await start_call(real_server, track)
    await until(lambda: psnr_db(receiver, first) >= GOOD_DB)
    assert psnr_db(receiver, second) < GOOD_DB
    track.picture = second
    await until(lambda: psnr_db(receiver, second) >= GOOD_DB)
    (source,) = real_server.hub.publishers
    assert [record.kind for record in source.records].count("key") == 2
    assert receiver.state is not None
    assert receiver.state.epoch.epoch == 1
    assert (receiver.hash_bad, receiver.refused) == (0, 0)
    await publisher.close()
    await viewer.close()


async def test_a_viewer_who_loads_the_page_again_sees_the_present_picture_first(real_server: RunningServer) -> None:
    picture = scene(3)
    publisher, viewer, receiver = await start_call(real_server, PictureTrack(picture))
    await until(lambda: psnr_db(receiver, picture) >= GOOD_DB)
    await viewer.close()
    first_db: list[float] = []
    again = await watch(real_server)
    again._on_frame = lambda _, receiver: first_db.append(psnr_db(receiver, picture))
    await until(lambda: first_db)
    assert first_db[0] >= GOOD_DB - 1, "a join brings the whole picture, and not what a call begins with"
    (source,) = real_server.hub.publishers
    assert [record.kind for record in source.records].count("key") == 1
    await publisher.close()
    await again.close()


async def test_a_publisher_who_loads_the_page_again_is_seen_again(real_server: RunningServer) -> None:
    first, second = scene(4), scene(5)
    publisher, viewer, receiver = await start_call(real_server, PictureTrack(first))
    await until(lambda: psnr_db(receiver, first) >= GOOD_DB)
    await publisher.close()
    assert (await viewer.expect("participant-left"))["id"] == publisher.id
    viewer.receivers.clear()  # as the page does: the stream's number is free for the next one
    again = await publish(real_server, PictureTrack(second))
    joined = (await viewer.expect("participant-joined"))["participant"]
    assert joined["id"] == again.id != publisher.id
    await until(lambda: any(psnr_db(receiver, second) >= GOOD_DB for receiver in viewer.receivers.values()))
    assert list(viewer.receivers) == [joined["stream"]]
    assert viewer.receivers[joined["stream"]].hash_bad == 0
    await viewer.close()
    await again.close()
