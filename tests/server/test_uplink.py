"""The camera's jitter buffer: marker bits, losses asked for on a timer, giving up, key frames."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from server.uplink import Feedback, UplinkBuffer, UplinkFrame, UplinkPacket

KEY, DELTA = b"\x10", b"\x11"


def packets(frames: int, each: int = 2, first: int = 65530, keys: tuple[int, ...] = (0,)) -> list[UplinkPacket]:
    """Return packets of frames of so many packets each; the data of a frame ends with its number."""
    made = []
    for frame in range(frames):
        for index in range(each):
            sequence = (first + frame * each + index) % 65536
            start, marker = index == 0, index == each - 1
            data = (KEY if frame in keys else DELTA) if start else bytes([frame])
            made.append(UplinkPacket(sequence, (2**32 - 6000 + frame * 3000) % 2**32, marker, start, data))
    return made


def push_all(buffer: UplinkBuffer, came: list[UplinkPacket], now_ms: float = 0.0) -> list[UplinkFrame]:
    return [frame for packet in came for frame in buffer.push(packet, now_ms)]


def test_a_frame_leaves_with_its_marker() -> None:
    buffer = UplinkBuffer()
    first, last = packets(1)
    assert buffer.push(first, 1.0) == []
    (frame,) = buffer.push(last, 2.0)
    assert frame.data == KEY + b"\0"
    assert frame.arrival_ms == 2.0


def test_timestamps_and_sequence_numbers_wrap() -> None:
    frames = push_all(UplinkBuffer(), packets(10))
    assert len(frames) == 10
    steps = {after.timestamp - before.timestamp for before, after in itertools.pairwise(frames)}
    assert steps == {3000}


@given(st.permutations(packets(6)[2:]))
def test_any_order_gives_the_same_frames(order: list[UplinkPacket]) -> None:
    buffer = UplinkBuffer()
    frames = push_all(buffer, packets(6)[:2] + order)
    assert [frame.data[-1] for frame in frames] == list(range(6))
    assert buffer.poll(0.0) == Feedback()


def test_a_loss_is_asked_for_each_round_trip_and_fills_the_gap() -> None:
    buffer = UplinkBuffer(retry_ms=60.0)
    made = packets(4, first=100)
    lost = made.pop(3)
    assert len(push_all(buffer, made, 1000.0)) == 1
    assert buffer.poll(1000.0) == Feedback(nack=(103,))
    assert buffer.poll(1040.0) == Feedback()
    assert buffer.poll(1060.0) == Feedback(nack=(103,))
    assert [frame.data[-1] for frame in buffer.push(lost, 1100.0)] == [1, 2, 3]
    assert buffer.poll(1200.0) == Feedback()


def test_giving_up_asks_for_a_key_frame_and_goes_on_with_it() -> None:
    buffer = UplinkBuffer()
    made = packets(8, first=100, keys=(0, 6))
    push_all(buffer, made[:2] + made[3:10], 1000.0)
    assert buffer.poll(1299.0).pli is False
    assert buffer.poll(1300.0) == Feedback(pli=True)
    assert buffer.poll(1400.0) == Feedback()
    assert push_all(buffer, made[10:12], 1450.0) == []
    assert buffer.poll(1600.0) == Feedback(pli=True)
    assert [frame.data[-1] for frame in push_all(buffer, made[12:], 1650.0)] == [6, 7]
    assert buffer.poll(1700.0) == Feedback()


def test_giving_up_uses_a_key_frame_that_is_there_already() -> None:
    buffer = UplinkBuffer()
    made = packets(8, first=100, keys=(0, 6))
    assert len(push_all(buffer, made[:2] + made[3:], 1000.0)) == 1
    assert buffer.poll(1300.0).pli is False
    assert [frame.data[-1] for frame in push_all(buffer, packets(9, first=100, keys=(0, 6))[16:], 1310.0)] == [6, 7, 8]


def test_nothing_before_the_first_key_frame_and_one_is_asked_for() -> None:
    buffer = UplinkBuffer()
    assert push_all(buffer, packets(3, keys=())) == []
    assert buffer.poll(10.0).pli is True


def test_duplicates_and_late_packets_are_ignored() -> None:
    buffer = UplinkBuffer()
    made = packets(3)
    assert len(push_all(buffer, made + made)) == 3


def test_losses_are_bounded_however_they_add_up() -> None:
    buffer = UplinkBuffer()
    sequence = 0
    for step in (1, UplinkBuffer.MAX_PACKETS, *[2] * 2000):
        sequence += step
        buffer.push(UplinkPacket(sequence % 65536, 0, False, True, KEY), 0.0)
        assert len(buffer._losses) <= UplinkBuffer.MAX_PACKETS
        assert len(buffer._packets) <= UplinkBuffer.MAX_PACKETS
    assert len(buffer.poll(0.0).nack) <= UplinkBuffer.MAX_PACKETS


@given(
    st.lists(
        st.builds(
            UplinkPacket,
            st.integers(0, 65535),
            st.integers(0, 2**32 - 1),
            st.booleans(),
            st.booleans(),
            st.binary(max_size=4),
        ),
        max_size=60,
    )
)
def test_any_packets_are_bounded(came: list[UplinkPacket]) -> None:
    buffer = UplinkBuffer()
    for index, packet in enumerate(came):
        buffer.push(packet, index * 40.0)
        assert len(buffer.poll(index * 40.0).nack) <= UplinkBuffer.MAX_PACKETS
