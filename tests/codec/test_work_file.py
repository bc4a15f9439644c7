"""The file of --work: what was written is read again, and any other file is refused by one clear error."""

import json
from pathlib import Path

import numpy as np
import pytest

from codec.config import EncoderConfig
from codec.errors import WorkFileError
from codec.types import EncodedFrame, FrameStats, FrameWork
from codec.work_file import open_work

CONFIG = EncoderConfig(16, 8, effort="live", threads=2)
PICTURE = np.arange(8 * 16 * 3, dtype=np.uint8).reshape(8, 16, 3)
WORKS = (None, FrameWork(12_000_000_000, (900, 1100, 1500, 25_000_000), 17, True), FrameWork(5, (1, 2, 3, 4)))


def frame_of(work: FrameWork | None) -> EncodedFrame:
    """Return a frame that was made with this work."""
    kind = "key" if work is None else "p"
    stats = FrameStats(0, kind, 0, 0.0, 0.0, 0, 0, {})
    return EncodedFrame(0, 0, kind, (), None, stats, 0, work=work)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """Return the file of a run of three pictures."""
    path = tmp_path / "work.jsonl"
    with open_work(path, CONFIG) as run:
        for work in WORKS:
            assert run.of(PICTURE) is None
            run.push(frame_of(work))
    return path


def replay(path: Path, config: EncoderConfig = CONFIG) -> list[FrameWork | None]:
    """Return the work that a file gives for three pictures."""
    found = []
    with open_work(path, config) as run:
        for work in WORKS:
            found.append(run.of(PICTURE))
            run.push(frame_of(work))
    return found


def test_what_was_written_is_given_again(written: Path) -> None:
    assert tuple(replay(written)) == WORKS


def test_the_latency_of_another_run_is_no_matter(written: Path) -> None:
    assert tuple(replay(written, EncoderConfig(16, 8, effort="live", threads=2, latency_ms=99.0))) == WORKS


def test_without_a_path_nothing_is_kept() -> None:
    with open_work(None, CONFIG) as run:
        assert run.of(PICTURE) is None
        run.push(frame_of(None))


def test_a_run_that_fails_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(IndexError), open_work(tmp_path / "work.jsonl", CONFIG) as run:
        run.of(np.zeros((0, 0, 3), np.uint8)[1])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (EncoderConfig(16, 8, effort="live", threads=1), "made with threads 2, this run has 1"),
        (EncoderConfig(16, 8, effort="live", threads=2, seed=4), "made with seed 0, this run has 4"),
        (EncoderConfig(16, 8, threads=2), 'made with effort "live", this run has "best"'),
        (EncoderConfig(16, 8, effort="live", threads=2, bitrate_kbps=50), "made with bitrate_kbps null, this run has"),
    ],
)
def test_another_run_is_refused(written: Path, config: EncoderConfig, message: str) -> None:
    with pytest.raises(WorkFileError, match=message):
        replay(written, config)


def test_other_pictures_are_refused(written: Path) -> None:
    with open_work(written, CONFIG) as run, pytest.raises(WorkFileError, match="made with first_picture_crc32"):
        run.of(PICTURE[::-1])


def test_another_number_or_kind_of_frames_is_refused(written: Path) -> None:
    with open_work(written, CONFIG) as run:
        run.of(PICTURE)
        with pytest.raises(WorkFileError, match="picture 0: expected a frame of kind key, got p"):
            run.push(frame_of(WORKS[1]))
    with open_work(written, CONFIG) as run:
        for work in WORKS:
            run.of(PICTURE)
            run.push(frame_of(work))
        with pytest.raises(WorkFileError, match="expected the work of more than 3 pictures"):
            run.of(PICTURE)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "expected a file of --work, version 2"),
        (b"\xff\xfe", "bytes that are no text"),
        (b"splats", "line 1: expected JSON"),
        (b"[" * 100_000, "line 1: expected JSON"),
        (b"[]", "line 1: expected an object, got list"),
        (b'{"splatcall_work": 1}', "version 2"),
        (b'{"splatcall_work": 2}\n{}', "line 2: expected a kind, got None"),
        (b'{"splatcall_work": 2}\n{"kind": "p"}', "line 2: expected four prices, got None"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: bytes, message: str) -> None:
    path = tmp_path / "work.jsonl"
    path.write_bytes(text)
    with pytest.raises(WorkFileError, match=message):
        replay(path)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("units", -1, "units: expected 0.."),
        ("units", 1.5, "units: expected 0.."),
        ("units", True, "units: expected 0.."),
        ("prices", [1, 2], "expected four prices"),
        ("prices", [1, 2, 3, 0], "prices: expected 1.."),
        ("cut", None, "cut: expected -1.."),
        ("hashed", 1, "hashed: expected true or false, got 1"),
    ],
)
def test_values_out_of_range_are_refused(written: Path, field: str, value: object, message: str) -> None:
    lines = [json.loads(line) for line in written.read_text().splitlines()]
    lines[2][field] = value
    written.write_text("\n".join(json.dumps(line) for line in lines))
    with pytest.raises(WorkFileError, match=f"line 3: {message}"):
        replay(written)
