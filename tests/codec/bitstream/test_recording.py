"""Recorded symbols: order, counts, files."""

from pathlib import Path

import numpy as np
import pytest

from codec.bitstream import recording as module
from codec.bitstream.recording import Recording, RecordingEncoder
from codec.bitstream.tables import WIDE_NAMES, unflatten
from codec.errors import MediaError


def small_recording() -> Recording:
    """Return two frames of two streams."""
    recorder = RecordingEncoder()
    recorder.begin_frame("key")
    recorder.table("present", np.array([0, 3, 3], np.int32), np.array([1, 0, 1], np.int32))
    recorder.wide("births", np.array([0, 5], np.int32))
    recorder.begin_frame("p", stream=1)
    recorder.row("cell_on", [7], [1])
    return recorder.recording("a clip")


def test_symbols_are_counted_by_frame_table_and_context() -> None:
    made = small_recording()
    assert made.kinds.tolist() == [0, 1]
    assert made.streams.tolist() == [0, 1]
    first, second = (unflatten(row) for row in made.histograms())
    assert first["present"].sum() == 3
    assert first["present"][3].tolist() == [1, 1]
    assert first["wide"][WIDE_NAMES.index("births")][[0, 3]].tolist() == [1, 1]
    assert made.raw_bits.tolist() == [2.0, 0.0], "the lower bits of 5"
    assert second["cell_on"][7].tolist() == [0, 1]
    assert sum(table.sum() for table in second.values()) == 1


def test_symbols_keep_their_order() -> None:
    recorder = RecordingEncoder()
    recorder.begin_frame("p")
    recorder.table("luma", 0, np.array([5, 1, 9], np.int32))
    assert recorder.recording("any").symbols.tolist() == [5, 1, 9]


def test_files_come_back_and_those_of_other_tables_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = small_recording()
    made.save(tmp_path / "a.npz")
    read = Recording.load(tmp_path / "a.npz")
    assert read.clip == "a clip"
    assert (read.entries == made.entries).all()
    assert (read.histograms() == made.histograms()).all()
    monkeypatch.setattr(module, "TABLES", {})
    with pytest.raises(MediaError, match="other tables"):
        Recording.load(tmp_path / "a.npz")
