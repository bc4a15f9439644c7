"""The encoder as a whole: its frames decode to its state, on a real clip and on odd ones."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from codec.bitstream.epoch import parse_epoch
from codec.bitstream.frame import parse_frame
from codec.bitstream.patch import apply_patch_part, make_patch, parse_patch_part
from codec.config import EncoderConfig
from codec.encoder import Encoder
from codec.errors import ConfigError
from codec.media import open_clip
from codec.render import render
from codec.state import apply_frame, state_hash
from codec.types import EncodedFrame, FrameWork, SplatState

Rgb = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def clip(carphone_path: Path) -> list[Rgb]:
    """Return frames of carphone, 176x144."""
    with open_clip(carphone_path, frames=14) as opened:
        return list(opened)


def config_for(picture: Rgb, **options: object) -> EncoderConfig:
    """Return a configuration for pictures of this size, without importance."""
    height, width = picture.shape[:2]
    return EncoderConfig(width, height, importance=False, **options)  # type: ignore[arg-type]


@pytest.fixture
def encoder(clip: list[Rgb]) -> Iterator[Encoder]:
    """Return an encoder for the clip."""
    made = Encoder(config_for(clip[0], seed=3))
    yield made
    made.close()


def decode(state: SplatState | None, frame: EncodedFrame) -> SplatState:
    """Return the state after a frame, as a decoder works it out."""
    if frame.epoch_record is not None:
        state = SplatState.empty(parse_epoch(frame.epoch_record))
        state.frame_number = frame.number - 1
    assert state is not None
    apply_frame(state, parse_frame(frame.parts, state.epoch))
    return state


def luma_psnr(state: SplatState, rgb: Rgb) -> float:
    """Return the luma PSNR of a state's picture in dB."""
    luma = rgb.astype(np.float64) @ (0.299, 0.587, 0.114)
    error = np.clip(render(state)[0], 0, 255) - luma
    return float(10 * np.log10(255**2 / np.mean(error**2)))


def assert_same(a: SplatState, b: SplatState) -> None:
    """Check that two states are equal in every integer."""
    assert np.array_equal(a.splats, b.splats)
    assert np.array_equal(a.base, b.base)
    assert np.array_equal(a.vectors, b.vectors)
    assert a.frame_number == b.frame_number


def test_decoder_follows_the_encoder_exactly(clip: list[Rgb], encoder: Encoder) -> None:
    state = None
    for index, rgb in enumerate(clip):
        frame = encoder.encode(rgb)
        state = decode(state, frame)
        assert encoder.state is not None
        assert_same(state, encoder.state)
        assert frame.state_hash == state_hash(state)
        assert frame.kind == ("key" if index == 0 else "p")
        assert frame.stats.bytes == sum(map(len, frame.parts)) + len(frame.epoch_record or b"")
        assert all(len(part) <= 1150 for part in frame.parts)
        assert luma_psnr(state, rgb) > 29


def test_p_frames_are_far_smaller_than_the_key_frame(clip: list[Rgb], encoder: Encoder) -> None:
    sizes = [encoder.encode(rgb).stats.bytes for rgb in clip[:8]]
    assert max(sizes[1:]) < sizes[0] / 3


def test_a_still_picture_costs_next_to_nothing(clip: list[Rgb], encoder: Encoder) -> None:
    for _ in range(4):
        frame = encoder.encode(clip[0])
    assert frame.stats.bytes < 40


def test_higher_quality_costs_more_and_shows_more(clip: list[Rgb]) -> None:
    figures = []
    for quality in (20.0, 50.0, 80.0):
        encoder = Encoder(config_for(clip[0], quality=quality))
        frames = [encoder.encode(rgb) for rgb in clip[:3]]
        assert encoder.state is not None
        figures.append((sum(frame.stats.bytes for frame in frames), luma_psnr(encoder.state, clip[2])))
    assert figures[0][0] < figures[1][0] < figures[2][0]
    assert figures[0][1] < figures[1][1] < figures[2][1]


def test_best_is_deterministic_whatever_the_threads(clip: list[Rgb]) -> None:
    streams = []
    for threads in (1, 3):
        encoder = Encoder(config_for(clip[0], threads=threads))
        streams.append([encoder.encode(rgb).parts for rgb in clip[:4]])
    assert streams[0] == streams[1]


@pytest.fixture(scope="module")
def large_clip(carphone_path: Path) -> list[Rgb]:
    """Return frames of carphone at twice its size, 352x288."""
    with open_clip(carphone_path, (352, 288), 12) as opened:
        return list(opened)


def live_encoder(picture: Rgb, state: SplatState | None = None, **options: object) -> Encoder:
    """Return a live encoder with time enough."""
    return Encoder(config_for(picture, effort="live", latency_ms=2000.0, **options), state)


def test_a_live_start_shows_one_part_and_sharpens(large_clip: list[Rgb]) -> None:
    encoder, state = live_encoder(large_clip[0]), None
    sizes, shown = [], []
    for index in range(24):
        frame = encoder.encode(large_clip[min(index, 11)])
        state = decode(state, frame)
        assert frame.state_hash == state_hash(state)
        sizes.append(sum(map(len, frame.parts)))
        shown.append(luma_psnr(state, large_clip[min(index, 11)]))
    assert max(sizes) <= 1150
    assert shown[0] > 20
    assert shown[-1] > shown[0] + 5


def test_a_live_start_follows_what_moves_in_little_time(large_clip: list[Rgb]) -> None:
    """A picture that pans by 3 px a frame, with work for half of what its cells and splats ask for."""
    panned = [np.ascontiguousarray(np.roll(large_clip[0], 3 * index, axis=1)) for index in range(16)]
    encoder, work = live_encoder(panned[0]), FrameWork(12_000_000_000, (600, 600, 600, 16_000_000))
    shown = []
    for rgb in panned:
        encoder.encode(rgb, work=work)
        assert encoder.state is not None
        shown.append(luma_psnr(encoder.state, rgb))
    assert min(shown) > shown[0] - 3.5
    assert shown[-1] > shown[0] + 6


def test_a_live_start_keeps_to_its_bitrate(large_clip: list[Rgb]) -> None:
    encoder = live_encoder(large_clip[0], bitrate_kbps=120.0)
    frames = [encoder.encode(rgb) for rgb in large_clip]
    assert len(frames[0].parts) == 1
    assert all(frame.stats.bucket is not None and frame.stats.bucket <= 1 for frame in frames)
    assert len([frame for frame in frames if frame.kind != "skip"]) > 0.9 * len(frames)


def test_a_worker_that_died_while_the_picture_grew_is_followed_by_a_key_frame(large_clip: list[Rgb]) -> None:
    first = live_encoder(large_clip[0])
    for rgb in large_clip[:2]:
        last = first.encode(rgb)
    assert first.state is not None
    frame = live_encoder(large_clip[0], first.state.copy()).encode(large_clip[2])
    assert (frame.kind, frame.epoch, frame.number) == ("key", last.epoch + 1, last.number + 1)


def test_another_scene_begins_an_epoch(clip: list[Rgb], encoder: Encoder) -> None:
    first = encoder.encode(clip[0])
    encoder.encode(clip[1])
    flipped = np.ascontiguousarray(255 - clip[2][::-1, ::-1])
    cut = encoder.encode(flipped)
    assert cut.kind == "key"
    assert (cut.epoch, cut.number) == (first.epoch + 1, 2)
    assert encoder.state is not None
    assert_same(decode(None, cut), encoder.state)
    assert encoder.encode(flipped, force_key=True).epoch == first.epoch + 2


def test_another_encoder_goes_on_from_a_state(clip: list[Rgb], encoder: Encoder) -> None:
    state = None
    for rgb in clip[:3]:
        state = decode(state, encoder.encode(rgb))
    assert encoder.state is not None
    assert state is not None
    heir = Encoder(config_for(clip[0]), encoder.state.copy())
    frame = heir.encode(clip[3])
    assert (frame.kind, frame.number) == ("p", 3)
    assert heir.state is not None
    assert_same(decode(state, frame), heir.state)


def test_a_state_of_another_size_is_refused(clip: list[Rgb], encoder: Encoder) -> None:
    encoder.encode(clip[0])
    with pytest.raises(ConfigError, match="expected one of 96x80 px, got 176x144"):
        Encoder(EncoderConfig(96, 80, importance=False), encoder.state)


def test_an_epoch_of_another_size_follows_a_state(clip: list[Rgb], encoder: Encoder) -> None:
    for rgb in clip[:3]:
        encoder.encode(rgb)
    assert encoder.state is not None
    before = encoder.state.copy()
    half = np.ascontiguousarray(clip[3][::2, ::2])
    heir = Encoder(config_for(half), before, new_epoch=True)
    frame = heir.encode(half)
    assert (frame.kind, frame.number, frame.epoch) == ("key", 3, before.epoch.epoch + 1)
    state = decode(None, frame)
    frame = heir.encode(half)
    assert (frame.kind, frame.number) == ("p", 4)
    assert heir.state is not None
    assert_same(decode(state, frame), heir.state)
    assert_same(before, encoder.state)


def test_an_epoch_after_nothing_is_refused(clip: list[Rgb]) -> None:
    with pytest.raises(ConfigError, match="expected the state of the epoch before, got none"):
        Encoder(config_for(clip[0]), new_epoch=True)


def test_a_budget_tells_what_it_left_out(clip: list[Rgb]) -> None:
    encoder = Encoder(config_for(clip[0], effort="live"))
    encoder.encode(clip[0])
    assert encoder.encode(clip[6], budget_ms=0.01).unvisited > 100
    assert encoder.encode(clip[6], budget_ms=5000.0).unvisited == 0


@pytest.mark.parametrize("effort", ["best", "live"])
def test_the_same_work_gives_the_same_bytes(clip: list[Rgb], effort: str) -> None:
    """Budgets by the clock, some of them cut off by it; then the work that was done, in another order of time."""
    config = config_for(clip[0], effort=effort, threads=2)
    budgets_ms = (0.01, 1.0, 2.0, 4.0, 8.0, 30.0, 3.0) if effort == "live" else (None,) * 7
    encoder = Encoder(config)
    first = [encoder.encode(clip[0])]
    first += [encoder.encode(rgb, budget_ms=budget) for rgb, budget in zip(clip[1:8], budgets_ms, strict=True)]
    encoder = Encoder(config)
    again = [encoder.encode(rgb, work=frame.work) for rgb, frame in zip(clip[:8], first, strict=True)]
    assert [frame.parts for frame in again] == [frame.parts for frame in first]
    assert [frame.work for frame in again] == [frame.work for frame in first]
    assert first[0].work is None
    assert all(frame.work is not None and (frame.work.units > 0) == (effort == "live") for frame in first[1:])


def test_last_changed_makes_an_exact_patch(clip: list[Rgb], encoder: Encoder) -> None:
    for rgb in clip[:3]:
        encoder.encode(rgb)
    assert encoder.state is not None
    old = encoder.state.copy()
    for rgb in clip[3:6]:
        encoder.encode(rgb)
    for part in make_patch(encoder.state, encoder.last_changed, old.frame_number):
        apply_patch_part(old, parse_patch_part(part, old.epoch))
    old.frame_number = encoder.state.frame_number
    assert_same(old, encoder.state)


def test_a_hash_travels_once_a_second(clip: list[Rgb]) -> None:
    encoder = Encoder(config_for(clip[0], fps=(5, 1)))
    frames = [encoder.encode(rgb) for rgb in clip[:11]]
    assert encoder.state is not None
    hashes = [parse_frame(frame.parts, encoder.state.epoch).hash16 for frame in frames[1:]]
    assert [i + 1 for i, value in enumerate(hashes) if value is not None] == [5, 10]
    assert hashes[9] == state_hash(encoder.state)


def test_live_keeps_frames_valid_under_any_budget(clip: list[Rgb]) -> None:
    encoder = Encoder(config_for(clip[0], effort="live"))
    state = decode(None, encoder.encode(clip[0]))
    for rgb, budget_ms in zip(clip[1:5], (0.01, 3.0, 10.0, 1000.0), strict=True):
        state = decode(state, encoder.encode(rgb, budget_ms=budget_ms))
        assert encoder.state is not None
        assert_same(state, encoder.state)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (17, 2), (33, 35), (64, 16)])
def test_odd_sizes_work(size: tuple[int, int]) -> None:
    width, height = size
    rng = np.random.default_rng(1)
    state = None
    encoder = Encoder(EncoderConfig(width, height, importance=False))
    for _ in range(3):
        rgb = np.broadcast_to(rng.integers(0, 256, (1, 1, 3)), (height, width, 3)).astype(np.uint8)
        state = decode(state, encoder.encode(np.ascontiguousarray(rgb)))
        assert encoder.state is not None
        assert_same(state, encoder.state)
        if width * height > 500:  # where a handful of px changes, nothing pays for its bits
            assert luma_psnr(state, rgb) > 25


@pytest.mark.parametrize("size", [(1280, 720), (2048, 1536)])
def test_the_base_of_a_large_noisy_picture_fits(size: tuple[int, int]) -> None:
    width, height = size
    rng = np.random.default_rng(1)
    blocks = rng.integers(0, 256, (height // 32, width // 32, 3), dtype=np.uint8)
    rgb = np.kron(blocks, np.ones((32, 32, 1), np.uint8))
    picture = np.zeros((height, width, 3), np.uint8)
    picture[: rgb.shape[0], : rgb.shape[1]] = rgb
    encoder = Encoder(EncoderConfig(width, height, effort="live", quality=0, max_splats=300, importance=False))
    assert encoder.encode(picture).kind == "key"


def test_noise_at_high_quality_stays_within_the_splats_allowed() -> None:
    rng = np.random.default_rng(2)
    encoder = Encoder(EncoderConfig(96, 64, quality=95, max_splats=150, importance=False))
    state = None
    for _ in range(3):
        state = decode(state, encoder.encode(rng.integers(0, 256, (64, 96, 3), dtype=np.uint8)))
        assert encoder.state is not None
        assert_same(state, encoder.state)


def test_pictures_of_another_kind_are_refused(encoder: Encoder) -> None:
    with pytest.raises(ConfigError, match=r"picture: expected uint8 \(144, 176, 3\), got uint8 \(144, 175, 3\)"):
        encoder.encode(np.zeros((144, 175, 3), np.uint8))
    with pytest.raises(ConfigError, match="got float32"):
        encoder.encode(np.zeros((144, 176, 3), np.float32))
