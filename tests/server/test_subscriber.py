"""One subscriber's stream: bundling, pace, and what a blocked way does."""

from server.congestion import Congestion, Way
from server.datagram import RecordKind, parse_datagram
from server.history import FrameHistory, PublishedFrame
from server.repair import PatchParts
from server.reports import Report
from server.subscriber import PatchWanted, Step, Subscriber


def make_history(epoch: int = 1) -> FrameHistory:
    history = FrameHistory()
    history.begin_epoch(epoch, b"record")
    return history


def frame(number: int, size: int = 100, epoch: int = 1) -> PublishedFrame:
    return PublishedFrame(epoch, number, "p" if number else "key", (bytes([number % 256]) * size,), number * 33.0)


def kinds(step: Step) -> list[tuple[int, int]]:
    return [(record.stream, record.kind) for datagram in step.datagrams for record in parse_datagram(datagram)]


def test_a_join_sends_the_epoch_at_once_and_wants_a_patch() -> None:
    subscriber = Subscriber(0.0)
    subscriber.add_stream(4, make_history(), lambda since: 0, 0.0)
    step = subscriber.poll(0, 0.0)
    assert kinds(step) == [(4, RecordKind.EPOCH)]
    assert step.patches == [PatchWanted(4, -1)]
    subscriber.push_patch(4, PatchParts(1, -1, 0, (b"p", b"q")), 1.0)
    assert kinds(subscriber.poll(0, 1.0)) == [(4, RecordKind.PATCH)] * 2


def test_two_publishers_share_datagrams_and_one_alone_does_not_wait() -> None:
    subscriber = Subscriber(0.0)
    for stream in (1, 2):
        subscriber.add_stream(stream, make_history(), lambda since: 0, 0.0)
    subscriber.poll(0, 10.0)
    subscriber.push_frame(1, frame(1), 20.0)
    subscriber.push_frame(2, frame(1), 23.0)
    assert subscriber.due_ms() == 25.0
    step = subscriber.poll(0, 25.0)
    assert len(step.datagrams) == 1
    assert kinds(step) == [(1, RecordKind.FRAME), (2, RecordKind.FRAME)]
    subscriber.remove_stream(2)
    subscriber.push_frame(1, frame(2), 60.0)
    assert subscriber.due_ms() == 60.0


def test_large_patches_are_paced() -> None:
    subscriber = Subscriber(0.0)
    subscriber.add_stream(1, make_history(), lambda since: 0, 0.0)
    subscriber.poll(0, 0.0)
    subscriber.push_patch(1, PatchParts(1, -1, 0, (bytes(1000),) * 30), 0.0)
    sizes = [len(subscriber.poll(0, now_ms).datagrams) for now_ms in (0.0, 5.0, 10.0, 15.0)]
    assert sizes == [12, 12, 6, 0]


def test_a_blocked_way_holds_then_gives_up_and_one_patch_takes_the_place() -> None:
    subscriber = Subscriber(0.0)
    history = make_history()
    subscriber.add_stream(1, history, lambda since: 0, 0.0)
    subscriber.poll(0, 0.0)
    subscriber.push_patch(1, PatchParts(1, -1, 3, (b"p",)), 0.0)
    subscriber.poll(0, 0.0)
    for number in range(4):
        history.push(frame(number))
    subscriber.push_report(1, Report(1, 3, 3), 100.0)
    blocked = 1 << 20
    for number in range(4, 8):
        history.push(frame(number))
        subscriber.push_frame(1, frame(number), number * 33.0)
        assert subscriber.poll(blocked, number * 33.0) == Step()
    step = subscriber.poll(0, 270.0)
    assert kinds(step) == [(1, RecordKind.FRAME)] * 4, "held, bundled and sent when the way opens in time"
    subscriber.push_frame(1, frame(8), 300.0)
    subscriber.poll(blocked, 300.0)
    subscriber.poll(blocked, 601.0)
    subscriber.push_frame(1, frame(9), 610.0)
    step = subscriber.poll(0, 620.0)
    assert step.datagrams == []
    assert step.patches == [PatchWanted(1, 3)]


def test_a_new_epoch_ends_the_wait_for_a_patch() -> None:
    subscriber = Subscriber(0.0)
    history = make_history()
    subscriber.add_stream(1, history, lambda since: 0, 0.0)
    subscriber.poll(0, 0.0)
    history.begin_epoch(2, b"second")
    subscriber.begin_epoch(1, 10.0)
    subscriber.push_frame(1, frame(0, epoch=2), 10.0)
    assert kinds(subscriber.poll(0, 10.0)) == [(1, RecordKind.EPOCH), (1, RecordKind.FRAME)]


def test_silence_of_the_receiver_blocks_and_its_report_opens() -> None:
    congestion = Congestion(0.0)
    assert congestion.judge(0, 2999.0) is Way.OPEN
    assert congestion.judge(0, 3001.0) is Way.HELD
    assert congestion.judge(0, 3301.0) is Way.GIVEN_UP
    congestion.report_came(3400.0)
    assert congestion.judge(0, 3400.0) is Way.OPEN


def test_records_of_unknown_streams_are_ignored() -> None:
    subscriber = Subscriber(0.0)
    subscriber.push_frame(9, frame(0), 0.0)
    subscriber.push_report(9, Report(), 0.0)
    subscriber.push_patch(9, PatchParts(1, -1, 0, (b"p",)), 0.0)
    subscriber.push_figures(9, b"f", 0.0)
    assert subscriber.due_ms() is None
