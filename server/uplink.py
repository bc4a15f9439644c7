"""Jitter buffer of one camera's RTP packets: frames leave on the marker bit, losses are asked for on a timer.

aiortc's own buffer releases a frame when the next one starts, asks for a lost packet once and waits for it without
end; webrtc-findings has the measurements.
"""

from dataclasses import dataclass

__all__ = ["Feedback", "UplinkBuffer", "UplinkFrame", "UplinkPacket"]


@dataclass(frozen=True)
class UplinkPacket:
    """One RTP packet of VP8, its payload descriptor taken off."""

    sequence: int  # 16 bits
    timestamp: int  # 32 bits
    marker: bool  # last packet of a frame
    start: bool  # first packet of a frame
    data: bytes

    @property
    def is_key(self) -> bool:
        """Tell whether a key frame starts here (RFC 6386 section 9.1)."""
        return self.start and bool(self.data) and not self.data[0] & 1


@dataclass(frozen=True)
class UplinkFrame:
    """One complete encoded frame."""

    timestamp: int  # RTP, unwrapped
    data: bytes
    arrival_ms: float  # of its last packet


@dataclass(frozen=True)
class Feedback:
    """What to tell the sender."""

    nack: tuple[int, ...] = ()  # sequence numbers, 16 bits
    pli: bool = False


@dataclass
class _Loss:
    since_ms: float
    asked_ms: float = float("-inf")
    asked: int = 0


class UplinkBuffer:
    """Pure: packets and the time in, frames and feedback out.

    Holds at most `MAX_PACKETS`; beyond, and when a loss is older than `GIVE_UP_MS`, everything up to the next key frame
    is dropped and a key frame asked for.
    """

    MAX_PACKETS = 1024
    GIVE_UP_MS = 300.0
    MAX_NACKS = 5
    PLI_REPEAT_MS = 300.0

    def __init__(self, retry_ms: float = 60.0) -> None:
        self.retry_ms = retry_ms
        self._packets: dict[int, tuple[UplinkPacket, float]] = {}  # by unwrapped sequence number
        self._next: int | None = None  # first sequence number that has not been released
        self._newest: int | None = None
        self._losses: dict[int, _Loss] = {}
        self._needs_key = True
        self._pli_ms = float("-inf")
        self._started_ms: float | None = None
        self._timestamp: int | None = None
        self.lost_frames = 0

    def push(self, packet: UplinkPacket, now_ms: float) -> list[UplinkFrame]:
        """Add a packet and return the frames that are complete now, in order."""
        sequence = self._unwrap(packet.sequence)
        if self._started_ms is None:
            self._started_ms = now_ms
        if self._next is not None and sequence < self._next:
            return []
        if self._newest is None or sequence > self._newest:
            if self._newest is not None and sequence - self._newest > self.MAX_PACKETS:
                self._restart()
            elif self._newest is not None:
                for lost in range(self._newest + 1, sequence):
                    self._losses[lost] = _Loss(now_ms)
            self._newest = sequence
        self._losses.pop(sequence, None)
        self._packets[sequence] = (packet, now_ms)
        if len(self._packets) > self.MAX_PACKETS or len(self._losses) > self.MAX_PACKETS:
            self._restart()
        if self._needs_key:
            self._seek_key()
        return self._pull_frames()

    def poll(self, now_ms: float) -> Feedback:
        """Return the feedback that is due; to be called every few milliseconds."""
        if self._losses and now_ms - min(loss.since_ms for loss in self._losses.values()) >= self.GIVE_UP_MS:
            self._restart()
        pli = self._needs_key and self._started_ms is not None and now_ms - self._pli_ms >= self.PLI_REPEAT_MS
        if pli:
            self._pli_ms = now_ms
        due = []
        for sequence, loss in self._losses.items():
            if loss.asked < self.MAX_NACKS and now_ms - loss.asked_ms >= self.retry_ms:
                loss.asked += 1
                loss.asked_ms = now_ms
                due.append(sequence & 0xFFFF)
        return Feedback(tuple(due), pli)

    def ask_key(self) -> None:
        """Drop what waits and go on from the next key frame."""
        self._restart()

    def _unwrap(self, sequence: int) -> int:
        """Return the sequence number nearest to the newest one."""
        if self._newest is None:
            return sequence + 0x10000  # so that a packet from just before the first one is no negative number
        return self._newest + (sequence - self._newest + 0x8000) % 0x10000 - 0x8000

    def _restart(self) -> None:
        """Give up everything before the next key frame, of which one may be in the buffer already."""
        self.lost_frames += 1
        self._losses.clear()
        if self._next is not None:
            self._packets.pop(self._next, None)  # so that a broken key frame is not found again
        self._needs_key = True
        self._seek_key()
        if self._needs_key:
            self._packets.clear()

    def _seek_key(self) -> None:
        """Go on from the oldest key frame start that is held, if there is one."""
        first = min((sequence for sequence, (packet, _) in self._packets.items() if packet.is_key), default=None)
        if first is None:
            return
        self._next = first
        self._needs_key = False
        for sequence in [sequence for sequence in self._packets if sequence < first]:
            del self._packets[sequence]

    def _pull_frames(self) -> list[UplinkFrame]:
        """Release complete frames from the first sequence number on."""
        frames: list[UplinkFrame] = []
        while not self._needs_key and self._next is not None:
            end = self._next
            while (held := self._packets.get(end)) is not None and not held[0].marker:
                end += 1
            if held is None:
                break
            packets = [self._packets.pop(sequence)[0] for sequence in range(self._next, end + 1)]
            self._next = end + 1
            frames.append(
                UplinkFrame(self._unwrap_timestamp(held[0].timestamp), b"".join(p.data for p in packets), held[1])
            )
        return frames

    def _unwrap_timestamp(self, timestamp: int) -> int:
        """Return a timestamp that does not wrap."""
        before = self._timestamp
        if before is not None:
            timestamp = before + (timestamp - before + 0x80000000) % 0x100000000 - 0x80000000
        self._timestamp = timestamp
        return timestamp
