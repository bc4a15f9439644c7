"""Audio lines: who is heard where, and steady RTP time."""

import itertools

from server.audio import AudioLinePool, LineTimestamps


def test_speakers_keep_their_lines_and_others_wait() -> None:
    pool = AudioLinePool(2)
    assert pool.assign(["a", "b", "c"])
    assert pool.lines == ("a", "b")
    assert not pool.assign(["c", "a", "b"])
    assert pool.assign(["b", "c"])
    assert pool.lines == ("c", "b")
    assert (pool.line_of("b"), pool.line_of("a")) == (1, None)


def test_no_lines_at_all() -> None:
    pool = AudioLinePool(0)
    assert not pool.assign(["a"])
    assert pool.line_of("a") is None


def test_a_speakers_steps_are_kept_also_across_the_wrap() -> None:
    times = LineTimestamps()
    start = 2**32 - 960
    mapped = [times.map("a", (start + 960 * step) % 2**32, 20.0 * step) for step in range(4)]
    assert [after - before for before, after in itertools.pairwise(mapped)] == [960] * 3


def test_a_change_of_speaker_moves_on_by_wall_time() -> None:
    times = LineTimestamps()
    before = times.map("a", 5000, 1000.0)
    after = times.map("b", 77, 1500.0)
    assert after - before == 24_000
    assert times.map("b", 77 + 960, 1520.0) - after == 960


def test_time_never_stands_still_between_speakers() -> None:
    times = LineTimestamps()
    assert times.map("b", 1, 0.0) < times.map("a", 900, 0.0) < times.map("b", 2, 0.0)
