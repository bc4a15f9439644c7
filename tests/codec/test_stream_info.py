"""What a file is said to hold adds up, and streams are hardly longer than their symbols."""

import re
from pathlib import Path

import pytest

from codec.stream_info import StreamFigures, describe_stream, read_figures
from codec.transcode import EncodeOptions, encode_clip


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory, carphone_path: Path) -> Path:
    """Return a stream of a real clip, with patches and a hash a second."""
    path = tmp_path_factory.mktemp("info") / "clip.splatv"
    encode_clip(
        carphone_path,
        path,
        EncodeOptions(frames=35, importance=False, patch_every_s=0.5, threads=1),
        lambda done, expected: None,
    )
    return path


@pytest.fixture(scope="module")
def figures(stream: Path) -> StreamFigures:
    """Return its figures."""
    return read_figures(stream)


def test_frames_are_at_most_2_percent_and_4_bytes_over_their_ideal_length(figures: StreamFigures) -> None:
    for kind in figures.kinds.values():
        ideal_bits = kind.element_bits.total()
        assert kind.most_over_bytes < 4
        assert kind.size_bytes - kind.header_bytes < 1.02 * ideal_bits / 8 + 2 * kind.frames
    p = figures.kinds["p"]
    assert 8 * (p.size_bytes - p.header_bytes) - p.element_bits.total() < 6 * p.frames, "ends of streams, in the mean"


def test_elements_headers_and_ends_add_up_to_the_file(stream: Path, figures: StreamFigures) -> None:
    shown = describe_stream(stream)
    sections = re.split(r"^(?=key frames|P-frames|epoch records)", shown, flags=re.M)
    for section, kind in zip(sections[1:3], (figures.kinds["key"], figures.kinds["p"]), strict=True):
        bits = [int(found) for found in re.findall(r"(-?\d+) bits", section)]
        assert sum(bits) == pytest.approx(8 * kind.size_bytes, abs=len(bits))
        assert {"headers", "ends of streams"} <= set(re.findall(r"^  (\S.*?) +-?\d+ bits", section, flags=re.M))
    parts = [figures.epoch_bytes, figures.other_bytes, figures.patch_bytes]
    assert min(parts) > 0
    assert sum(parts) + sum(kind.size_bytes for kind in figures.kinds.values()) == stream.stat().st_size
    assert f"{figures.epoch_bytes} bytes; head, index and lengths: {figures.other_bytes} bytes" in shown
