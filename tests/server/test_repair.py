"""Repair: what each report asks for, with the clock in hand."""

import pytest

from server.history import FrameHistory, PublishedFrame
from server.repair import Action, MakePatch, PatchParts, RoundTrip, SendEpoch, SendFrames, SendPatchParts, StreamRepair
from server.reports import PatchProgress, Report

PATCH_BYTES = 1000


def make_history(frames: int, size: int = 100, first: int = 0) -> FrameHistory:
    """Return a history of frames from `first` on, 33 ms apart."""
    history = FrameHistory()
    history.begin_epoch(5, b"record")
    for index in range(frames):
        kind = "key" if first + index == 0 else "p"
        history.push(PublishedFrame(5, first + index, kind, (bytes(size),), index * 33.0))
    return history


def make_repair(history: FrameHistory) -> StreamRepair:
    return StreamRepair(history, lambda since: PATCH_BYTES)


def join(repair: StreamRepair, now_ms: float, to: int) -> None:
    """Bring a repair to where the join patch was sent."""
    repair.start(now_ms)
    repair.patch_made(PatchParts(5, -1, to, (b"a", b"b", b"c")), now_ms)


def numbers(actions: list[Action]) -> list[int]:
    (action,) = actions
    assert isinstance(action, SendFrames)
    return [frame.number for frame in action.frames]


def test_a_join_asks_for_the_epoch_record_and_a_patch_from_nothing() -> None:
    repair = make_repair(make_history(10))
    assert repair.start(0.0) == [SendEpoch(b"record"), MakePatch(-1)]
    assert repair.patch_made(PatchParts(5, -1, 9, (b"p",)), 10.0) == [SendPatchParts((b"p",))]


def test_before_the_first_frame_nothing_is_sent() -> None:
    repair = make_repair(FrameHistory())
    assert repair.start(0.0) == []
    assert repair.report_came(Report(), 10.0) == []


def test_the_epoch_record_is_repeated_until_a_report_knows_it() -> None:
    repair = make_repair(make_history(10))
    join(repair, 0.0, 9)
    assert repair.report_came(Report(), 50.0) == []
    assert repair.report_came(Report(), 100.0) == [SendEpoch(b"record")]
    assert repair.report_came(Report(epoch=4, confirmed=7, newest=7), 200.0) == [SendEpoch(b"record")]
    assert repair.report_came(Report(epoch=5, confirmed=9, newest=9), 300.0) == []


def test_lost_parts_of_a_patch_are_sent_again_singly_after_their_time() -> None:
    repair = make_repair(make_history(10))
    join(repair, 1000.0, 9)
    report = Report(5, -1, 9, 0, False, PatchProgress(-1, 9, (1,)))
    assert repair.report_came(report, 1050.0) == []
    assert repair.report_came(report, 1000.0 + repair.wait_ms) == [SendPatchParts((b"b",))]
    assert repair.report_came(report, 1010.0 + repair.wait_ms) == []


def test_a_patch_that_was_lost_whole_is_made_again() -> None:
    repair = make_repair(make_history(10, size=500))
    join(repair, 1000.0, 9)
    assert repair.report_came(Report(5), 1100.0) == []
    assert repair.report_came(Report(5), 1000.0 + repair.wait_ms) == [MakePatch(-1)]
    assert repair.report_came(Report(5), 1100.0 + repair.wait_ms) == [], "one is being made"


def test_a_lost_key_frame_is_sent_again_with_what_follows_if_that_is_smaller() -> None:
    repair = make_repair(make_history(3))
    repair.epoch_began(66.0)
    assert repair.report_came(Report(5), 100.0) == []
    assert numbers(repair.report_came(Report(5), 66.0 + repair.wait_ms)) == [0, 1, 2]


def test_a_gap_is_filled_with_the_missing_frames() -> None:
    repair = make_repair(make_history(20))
    join(repair, 0.0, 5)
    report = Report(5, confirmed=10, newest=19, mask=0b110110110)  # frames 11, 14 and 17 are missing
    assert repair.report_came(report, 11 * 33.0 + 50) == []
    now_ms = 17 * 33.0 + repair.wait_ms
    assert numbers(repair.report_came(report, now_ms)) == [11, 14, 17]
    assert repair.report_came(report, now_ms + 20) == [], "they are on their way"
    assert numbers(repair.report_came(report, now_ms + repair.wait_ms)) == [11, 14, 17]


def test_a_gap_larger_than_a_patch_gets_a_patch() -> None:
    repair = make_repair(make_history(40))
    join(repair, 0.0, 5)
    assert repair.report_came(Report(5, 10, 10), 40 * 33.0 + 500) == [MakePatch(10)]


def test_frames_that_left_the_history_are_replaced_by_a_patch() -> None:
    history = make_history(400, size=10)  # 13 s: the first three are gone
    assert history.get(0) is None
    repair = make_repair(history)
    join(repair, 0.0, 5)
    report = Report(5, 50, 399, (1 << 64) - 2)
    assert repair.report_came(report, 400 * 33.0 + 1000) == [MakePatch(50)]


def test_the_last_frame_is_missed_too() -> None:
    repair = make_repair(make_history(20))
    join(repair, 0.0, 5)
    assert repair.report_came(Report(5, 18, 18), 19 * 33.0 + 20) == []
    assert numbers(repair.report_came(Report(5, 18, 18), 19 * 33.0 + repair.wait_ms)) == [19]


def test_a_bad_hash_gets_the_whole_state_but_not_with_every_report() -> None:
    repair = make_repair(make_history(20))
    join(repair, 0.0, 5)
    bad = Report(5, 10, 12, 3, hash_bad=True)
    assert repair.report_came(bad, 1000.0) == [MakePatch(-1)]
    assert repair.report_came(bad, 1100.0) == []
    repair.patch_made(PatchParts(5, -1, 19, (b"x",)), 1110.0)
    assert repair.report_came(bad, 1200.0) == []
    assert repair.report_came(bad, 1000.0 + 1000.0) == [MakePatch(-1)]


def test_a_patch_of_an_older_epoch_is_dropped() -> None:
    history = make_history(3)
    repair = make_repair(history)
    repair.start(0.0)
    history.begin_epoch(6, b"next")
    assert repair.epoch_began(10.0) == [SendEpoch(b"next")]
    assert repair.patch_made(PatchParts(5, -1, 2, (b"x",)), 20.0) == []


def test_reports_from_the_future_do_no_harm() -> None:
    repair = make_repair(make_history(5))
    join(repair, 0.0, 4)
    assert repair.report_came(Report(5, 9, 2**40, 2**64 - 1), 1000.0) == []
    assert repair.confirmed == 4


@pytest.mark.parametrize("offset", [0, 4096, 65536])
def test_who_joins_after_the_wrap_is_repaired_like_everybody(offset: int) -> None:
    first = 70_000
    repair = make_repair(make_history(20, first=first))
    join(repair, 0.0, first + 5)
    seen = first - offset  # as the receiver counts
    parts = Report(5, -1, seen + 5, 0, False, PatchProgress(-1, seen + 5, (2,)))
    assert repair.report_came(parts, repair.wait_ms) == [SendPatchParts((b"c",))]
    report = Report(5, confirmed=seen + 10, newest=seen + 19, mask=0b110110110)
    now_ms = 17 * 33.0 + repair.wait_ms
    assert numbers(repair.report_came(report, now_ms)) == [first + 11, first + 14, first + 17]
    assert repair.confirmed == first + 10
    assert repair.report_came(Report(5, seen + 19, seen + 19), now_ms + 500.0) == []


@pytest.mark.parametrize("offset", [0, 4096, 65536])
def test_a_gap_across_the_wrap_is_filled(offset: int) -> None:
    first = 2 * 65536 - 4
    repair = make_repair(make_history(8, first=first))
    join(repair, 0.0, first)
    known, newest = first + 2 - offset, first + 7 - offset
    assert repair.report_came(Report(5, known, newest, mask=0b11111), 7 * 33.0 + 40) == []
    report = Report(5, known, newest, mask=0b11000)
    now_ms = 7 * 33.0 + repair.wait_ms
    assert numbers(repair.report_came(report, now_ms)) == [first + 3, first + 4, first + 5]


def test_round_trip_takes_the_least_of_a_window_and_forgets() -> None:
    trip = RoundTrip()
    for index, sample in enumerate((90.0, 40.0, 120.0)):
        trip.push_sample(sample, index * 100.0)
    assert trip.value_ms == 40.0
    trip.push_sample(200.0, 5200.0)
    assert trip.value_ms == 40.0
    trip.push_sample(210.0, 10500.0)
    assert trip.value_ms == 200.0


def test_history_is_bounded_in_bytes_and_age() -> None:
    history = make_history(100, size=10_000)
    assert history.size_bytes <= FrameHistory.MAX_BYTES
    assert len(history) == 26
    assert history.since_key() is None
    history.push(PublishedFrame(5, 100, "p", (b"x",), 1e6))
    assert len(history) == 1
    assert history.newest == 100
