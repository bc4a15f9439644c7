"""Training of table sets: clusters of frames, smoothing, what is left out, the file."""

import json
from pathlib import Path

import numpy as np
import pytest

from codec.bitstream import train_tables
from codec.bitstream.recording import Recording, RecordingEncoder
from codec.bitstream.tables import TOTAL_COUNT, check_counts, table_set_count
from codec.bitstream.train_tables import MIN_COUNT, Frames, best_bits, main, set_costs, train, write_tables
from codec.prediction import KEY_WEIGHTS


def recording_of(clip: str, calm: int, busy: int, frames: int = 20) -> Recording:
    """Return P-frames of two sorts, one after the other: mostly pattern `calm`, many of pattern `busy`."""
    recorder = RecordingEncoder()
    for index in range(frames):
        recorder.begin_frame("p")
        symbols = np.array([calm] * 90 + [0] * 10 if index % 2 else [busy] * 500 + [3] * 100, np.int32)
        recorder.table("pattern", 2, symbols)
    recorder.begin_frame("key")
    recorder.ints("key_luma", 1, np.array([4] * 50, np.int32))
    return recorder.recording(clip)


def test_sorts_of_frames_find_their_own_sets() -> None:
    frames = Frames([recording_of("a", calm=12, busy=5)])
    made = train(frames, sets=3)
    assert len(made) == 3
    for tables in made:
        for name, counts in tables.items():
            check_counts(name, counts)
            assert counts.min() >= MIN_COUNT
    shares = [tables["pattern"][2] / TOTAL_COUNT for tables in made]
    assert [int(share.argmax()) for share in shares[1:]] == [12, 5], "the calmer first"
    assert max(share[12] for share in shares[1:]) > 0.75
    assert 0.05 < shares[0][12] < 0.3, "set 0 is of all frames"
    members = frames.of_kind("p")
    one, several = (best_bits(frames, members, set_costs(train(frames, sets)[:sets])) for sets in (2, 3))
    assert several.sum() < 0.8 * one.sum()


def test_what_no_recording_has_stays_affordable() -> None:
    for tables in train(Frames([recording_of("a", calm=12, busy=5)]), sets=2):
        assert (tables["present"][:3, 1] >= TOTAL_COUNT // 64 - MIN_COUNT).all()


def test_a_clip_left_out_teaches_nothing() -> None:
    frames = Frames([recording_of("a", calm=12, busy=5), recording_of("b", calm=9, busy=2)])
    made = train(frames, 4, frames.clips != 1)
    assert all(tables["pattern"][2, 12] > 2 * tables["pattern"][2, 9] for tables in made[:1])
    with_it, without = (
        best_bits(frames, frames.of_kind("p", frames.clips == 1), set_costs(sets)).sum()
        for sets in (train(frames, 4), made)
    )
    assert with_it < without


def test_recordings_of_one_clip_are_left_out_together() -> None:
    frames = Frames([recording_of("b", 12, 5), recording_of("a", 9, 2), recording_of("b", 12, 5)])
    assert frames.names == ["a", "b"]
    assert frames.clips.tolist() == [1] * 21 + [0] * 21 + [1] * 21
    assert len(set(frames.streams.tolist())) == 3


def test_each_stream_weighs_the_same() -> None:
    frames = Frames([recording_of("a", 12, 5, frames=40), recording_of("b", 9, 2, frames=4)])
    total = [float((frames.weights * frames.counts.sum(axis=1))[frames.clips == clip].sum()) for clip in (0, 1)]
    assert total[0] == pytest.approx(total[1], rel=1e-3)


def test_leave_one_out_prints_a_loss_for_each_clip(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_tables, "TABLES_PATH", tmp_path / "never.json")
    paths = [str(tmp_path / f"{name}.npz") for name in "ab"]
    recording_of("a", 12, 5).save(Path(paths[0]))
    recording_of("b", 9, 2).save(Path(paths[1]))
    main(["--leave-one-out", "--sets", "4", *paths])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [
        ["a", "key"], ["a", "p"], ["b", "key"], ["b", "p"], ["mean", "key"], ["mean", "p"],
    ]  # fmt: skip
    assert float(lines[2].split()[-1].strip("%")) > 5
    main(["--out", str(tmp_path / "made.json"), "--sets", "4", *paths])
    assert len(json.loads((tmp_path / "made.json").read_text())["sets"]) == 4
    assert not (tmp_path / "never.json").exists()


def test_written_tables_are_read_back(tmp_path: Path) -> None:
    made = [*train(None), *train(None)]
    write_tables(tmp_path / "tables.json", made)
    raw = json.loads((tmp_path / "tables.json").read_text())
    assert len(raw["sets"]) == 2
    assert raw["sets"][1]["wide"]["counts"] == made[1]["wide"].tolist()
    assert raw["sets"][0]["mean"]["range"] == 12
    assert raw["key_weights"] == [list(row) for row in KEY_WEIGHTS]


def test_there_are_never_more_sets_than_a_header_can_name() -> None:
    assert table_set_count() <= train_tables.MAX_SETS
    with pytest.raises(SystemExit):
        main(["--sets", "9", "x.npz"])
    with pytest.raises(SystemExit):
        main([])
