"""WHEP: plain WebRTC viewers, and what is refused."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from av import VideoFrame

from codec.render import render, to_rgb
from loadtest.client import CallClient
from tests.server.calls import publish
from tests.server.conftest import RunningServer, until
from tests.server.media import GreyTrack

SDP = {"content-type": "application/sdp"}


@pytest.fixture
async def http(server: RunningServer) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the server's pages."""
    async with httpx.AsyncClient(base_url=server.http) as client:
        yield client


async def make_viewer() -> RTCPeerConnection:
    """Return a connection that has offered to receive video."""
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    pc.addTransceiver("video", direction="recvonly")
    await pc.setLocalDescription(await pc.createOffer())
    return pc


async def test_two_viewers_share_one_encoder(server: RunningServer, http: httpx.AsyncClient) -> None:
    track = GreyTrack(64, 48)
    track.grey = 150
    publisher: CallClient = await publish(server, track)
    viewers, locations = [], []
    for _ in range(2):
        pc = await make_viewer()
        answer = await http.post(f"/whep/room/{publisher.id}", content=pc.localDescription.sdp, headers=SDP)
        assert answer.status_code == 201
        assert answer.headers["content-type"] == "application/sdp"
        locations.append(answer.headers["location"])
        await pc.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
        viewers.append(pc)
    (call,) = server.hub.calls
    assert len(call._videos) == 1
    for pc in viewers:
        picture = await asyncio.wait_for(pc.getReceivers()[0].track.recv(), 10)
        for _ in range(5):
            picture = await asyncio.wait_for(pc.getReceivers()[0].track.recv(), 10)
        assert isinstance(picture, VideoFrame)
        assert (picture.width, picture.height) == (64, 48)
        state = server.hub.publishers[0].state()
        assert state is not None
        error = picture.to_ndarray(format="rgb24").astype(float) - to_rgb(render(state))
        assert np.abs(error).mean() < 6
    assert (await http.delete(locations[0])).status_code == 200
    assert (await http.delete(locations[0])).status_code == 404
    assert call.viewers == 1
    await publisher.close()
    await until(lambda: call.viewers == 0 and not call._videos)
    for pc in viewers:
        await pc.close()


@pytest.mark.parametrize(
    ("path", "content", "headers", "status"),
    [
        ("/whep/none/nobody", "v=0", SDP, 404),
        ("/whep/room/nobody", "v=0", SDP, 404),
        ("/whep/room/{id}", "v=0", {"content-type": "text/plain"}, 415),
        ("/whep/room/{id}", "x" * 70_000, SDP, 413),
        ("/whep/room/{id}", "nonsense", SDP, 400),
        ("/whep/room/{id}", b"\xff\xfe", SDP, 400),
    ],
)
async def test_bad_requests_get_a_problem(
    server: RunningServer,
    http: httpx.AsyncClient,
    path: str,
    content: str | bytes,
    headers: dict[str, str],
    status: int,
) -> None:
    publisher = await publish(server, GreyTrack())
    answer = await http.post(path.format(id=publisher.id), content=content, headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["detail"]
    (call,) = server.hub.calls
    assert call.viewers == 0
    assert call._videos == {}
    await publisher.close()


async def test_an_offer_without_video_and_a_participant_without_picture(
    server: RunningServer, http: httpx.AsyncClient
) -> None:
    silent = CallClient()
    await silent.join(server.ws, "room", "Sil")
    pc = await make_viewer()
    answer = await http.post(f"/whep/room/{silent.id}", content=pc.localDescription.sdp, headers=SDP)
    assert answer.status_code == 409
    await pc.close()
    publisher = await publish(server, GreyTrack())
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    pc.addTransceiver("audio", direction="recvonly")
    await pc.setLocalDescription(await pc.createOffer())
    answer = await http.post(f"/whep/room/{publisher.id}", content=pc.localDescription.sdp, headers=SDP)
    assert answer.status_code == 400
    assert "video" in answer.json()["detail"]
    await pc.close()
    refused = await http.put(f"/whep/room/{publisher.id}")
    assert refused.status_code == 405
    assert refused.headers["content-type"] == "application/problem+json"
    await publisher.close()
    await silent.close()
