"""The encoder at a bitrate, end to end: what leaves it fits the link, whatever the clip does."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from codec.bitstream.container import RECORD_FRAME, SplatvReader
from codec.cli import main
from codec.config import EncoderConfig
from codec.encoder import Encoder
from codec.media import open_clip
from codec.rate_bucket import DATAGRAM_BYTES, RateBucket
from codec.types import EncodedFrame

Rgb = npt.NDArray[np.uint8]
FRAMES = 100


@pytest.fixture(scope="module")
def clip(carphone_path: Path) -> list[Rgb]:
    """Return pictures of carphone, 176x144, 30 a second."""
    with open_clip(carphone_path, frames=FRAMES) as opened:
        return list(opened)


def encode(pictures: Sequence[Rgb], kbps: float) -> list[EncodedFrame]:
    """Encode pictures at effort live, with time for all work."""
    height, width = pictures[0].shape[:2]
    config = EncoderConfig(
        width, height, effort="live", bitrate_kbps=kbps, importance=False, threads=1, latency_ms=1000.0
    )
    encoder = Encoder(config)
    frames = [encoder.encode(rgb) for rgb in pictures]
    encoder.close()
    return frames


def worst_two_seconds(sent_bits: Sequence[int], kbps: float) -> float:
    """Return the most that any two seconds after the first took, as a share of the target."""
    bits = np.array(sent_bits[30:])
    return float(np.lib.stride_tricks.sliding_window_view(bits, 60).sum(axis=1).max()) / (2000 * kbps)


@pytest.mark.parametrize("kbps", [30.0, 60.0, 200.0])
def test_a_clip_keeps_to_its_bitrate(clip: list[Rgb], kbps: float) -> None:
    frames = encode(clip, kbps)
    sent = [frame.stats.sent_bits for frame in frames]
    assert worst_two_seconds(sent, kbps) <= 1.1
    bucket = RateBucket(1000 * kbps)
    for index, bits in enumerate(sent):
        bucket.push(index / 30, bits)
        if index > 30:
            assert bucket.level_bits(index / 30) <= bucket.capacity_bits
    if frames[-1].stats.quality < 89:
        assert sum(sent[30:]) / (70 / 30) / 1000 > 0.85 * kbps
    for frame in frames:
        assert (frame.kind == "skip") == (frame.parts == ())
        assert frame.stats.bucket is not None


def test_held_frames_share_a_datagram_with_the_next(clip: list[Rgb]) -> None:
    frames = encode(clip[:45], 30.0)
    assert any(frame.held for frame in frames)
    waiting = 0
    for frame in frames:
        if frame.held:
            assert frame.stats.sent_bits == 0
            waiting += frame.stats.bytes
            continue
        if waiting and frame.kind == "p" and frame.stats.bytes + waiting <= DATAGRAM_BYTES:
            assert frame.stats.sent_bits == 8 * (waiting + frame.stats.bytes + 76)
        waiting = 0


def test_a_scene_cut_is_paid_for_before_the_next_frames(clip: list[Rgb]) -> None:
    other = [np.ascontiguousarray(255 - rgb[::-1, ::-1]) for rgb in clip[:20]]
    frames = encode(clip[:45] + other, 60.0)
    cut = next(frame.stats.index for frame in frames[1:] if frame.kind == "key")
    assert cut >= 45
    bucket = RateBucket(60_000)
    for index, frame in enumerate(frames):
        if index > cut and frame.kind == "p":
            assert bucket.room_bits(index / 30) >= frame.stats.sent_bits
        bucket.push(index / 30, frame.stats.sent_bits)


def test_left_out_pictures_show_the_one_before_them(carphone_path: Path, tmp_path: Path) -> None:
    coded, decoded = tmp_path / "clip.splatv", tmp_path / "clip.y4m"
    options = ["--frames", "24", "--bitrate-kbps", "6", "--effort", "live", "--latency-ms", "1000", "--no-importance"]
    assert main(["encode", str(carphone_path), str(coded), *options, "--patch-every", "0.1"]) == 0
    with coded.open("rb") as file:
        reader = SplatvReader(file)
        assert reader.index.pictures == 24
        empty = [not record.body for record in reader.records() if record.kind == RECORD_FRAME]
    assert any(empty)
    assert main(["decode", str(coded), str(decoded)]) == 0
    with open_clip(decoded) as opened:
        shown = list(opened)
    assert len(shown) == 24
    for index, repeats in enumerate(empty):
        assert not repeats or np.array_equal(shown[index], shown[index - 1])
    last = next(index for index in reversed(range(24)) if empty[index])
    assert main(["decode", str(coded), str(tmp_path / "one.png"), "--frames", str(last)]) == 0
    assert main(["info", str(coded)]) == 0
