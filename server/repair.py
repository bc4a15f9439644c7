"""What one subscriber lacks of one stream, and what to send for it: reports in, actions out (wire.md)."""

from collections.abc import Callable
from dataclasses import dataclass

from server.history import FrameHistory, PublishedFrame
from server.reports import MASK_BITS, Report

__all__ = [
    "Action",
    "MakePatch",
    "PatchParts",
    "RoundTrip",
    "SendEpoch",
    "SendFrames",
    "SendPatchParts",
    "StreamRepair",
]


@dataclass(frozen=True)
class PatchParts:
    """A patch as it was made for a subscriber."""

    epoch: int
    since: int  # -1: from nothing
    to: int
    parts: tuple[bytes, ...]


@dataclass(frozen=True)
class SendEpoch:
    """Send the epoch record (again)."""

    record: bytes


@dataclass(frozen=True)
class SendFrames:
    """Send these frames again."""

    frames: tuple[PublishedFrame, ...]


@dataclass(frozen=True)
class SendPatchParts:
    """Send these parts of a patch."""

    parts: tuple[bytes, ...]


@dataclass(frozen=True)
class MakePatch:
    """Make a patch from frame `since` to the present state, off the event loop, and hand it to `patch_made`."""

    since: int


Action = SendEpoch | SendFrames | SendPatchParts | MakePatch


class RoundTrip:
    """Round-trip time from a frame's departure to the first report that has it: the least of the last seconds.

    A report comes every 100 ms, so a single sample is too long by up to that; the least of many is close.
    """

    WINDOW_MS = 5000.0

    def __init__(self) -> None:
        self._least_ms = [100.0, 100.0]  # of the window before and of this one
        self._began_ms: float | None = None

    @property
    def value_ms(self) -> float:
        """Present estimate."""
        return min(self._least_ms)

    def push_sample(self, sample_ms: float, now_ms: float) -> None:
        """Add one sample."""
        if self._began_ms is None or now_ms - self._began_ms > self.WINDOW_MS:
            before = sample_ms if self._began_ms is None else self._least_ms[1]
            self._least_ms = [before, sample_ms]
            self._began_ms = now_ms
        self._least_ms[1] = min(self._least_ms[1], sample_ms)


class StreamRepair:
    """Repair of one stream towards one subscriber."""

    EPOCH_REPEAT_MS = 90.0  # just under the 100 ms between reports
    MIN_WAIT_MS = 120.0
    MAX_WAIT_MS = 1000.0
    HASH_WAIT_MS = 500.0
    MAKE_WAIT_MS = 2000.0  # a patch that was asked for and never made is asked for again

    def __init__(self, history: FrameHistory, patch_bytes: Callable[[int], int]) -> None:
        """Take the publisher's history and an estimate of the size of a patch since a frame."""
        self._history = history
        self._patch_bytes = patch_bytes
        self._round_trip = RoundTrip()
        self._confirmed = -1
        self._newest = -1
        self._epoch_sent_ms = float("-inf")
        self._asked_ms: float | None = None  # when a patch was asked for that is not made yet
        self._patch: PatchParts | None = None
        self._patch_sent_ms = float("-inf")
        self._part_sent_ms: dict[int, float] = {}
        self._frame_sent_ms: dict[int, float] = {}  # frames sent again; those confirmed are dropped
        self._hash_patch_ms = float("-inf")
        self.patches = 0
        self.frames_again = 0

    @property
    def confirmed(self) -> int:
        """The frame up to which the subscriber is known to be exact, -1 for none."""
        return self._confirmed

    @property
    def wait_ms(self) -> float:
        """How long something sent may take before it counts as lost: max(2 round trips, 120 ms), bounded."""
        return min(self.MAX_WAIT_MS, max(self.MIN_WAIT_MS, 2 * self._round_trip.value_ms))

    def start(self, now_ms: float) -> list[Action]:
        """Return what a new subscriber needs: the epoch record and the whole state."""
        if self._history.epoch < 0:
            return []
        return [*self._send_epoch(now_ms), *self._ask_patch(-1, now_ms)]

    def epoch_began(self, now_ms: float) -> list[Action]:
        """Begin again with a new epoch, whose key frame follows."""
        self._confirmed = self._newest = -1
        self._patch, self._asked_ms = None, None
        self._patch_sent_ms = now_ms  # the key frame takes the place of a join patch
        self._frame_sent_ms.clear()
        return self._send_epoch(now_ms)

    def patch_made(self, patch: PatchParts, now_ms: float) -> list[Action]:
        """Send a patch that was asked for."""
        self._asked_ms = None
        if patch.epoch != self._history.epoch:
            return []  # a key frame has overtaken it
        self._patch, self._patch_sent_ms = patch, now_ms
        self._part_sent_ms = dict.fromkeys(range(len(patch.parts)), now_ms)
        self.patches += 1
        return [SendPatchParts(patch.parts)]

    def resume(self, now_ms: float) -> list[Action]:
        """Replace frames that were given up by a patch."""
        return self._ask_patch(self._confirmed, now_ms)

    def report_came(self, report: Report, now_ms: float) -> list[Action]:
        """Return what this report asks for."""
        if self._history.epoch < 0:
            return []
        if report.epoch != self._history.epoch:
            return self._send_epoch(now_ms) if now_ms - self._epoch_sent_ms >= self.EPOCH_REPEAT_MS else []
        report = report.unwrapped(self._history.newest)
        self._learn(report, now_ms)
        if report.hash_bad:
            if now_ms - self._hash_patch_ms < max(self.HASH_WAIT_MS, self.wait_ms):
                return []
            self._hash_patch_ms = now_ms
            return self._ask_patch(-1, now_ms)
        if report.patch is not None and self._patch is not None and report.patch.to == self._patch.to:
            return self._parts_again(report.patch.missing, now_ms)
        if self._asked_ms is not None and now_ms - self._asked_ms < self.MAKE_WAIT_MS:
            return []
        if self._patch is not None and self._patch.to > report.confirmed and not self._overdue(now_ms):
            return []  # the patch is on its way
        if report.confirmed < 0:
            return self._join_again(now_ms)
        return self._fill_gap(report, now_ms)

    def _learn(self, report: Report, now_ms: float) -> None:
        """Take round trip and confirmation from a report."""
        if report.newest > self._newest:
            self._newest = report.newest
            frame = self._history.get(report.newest)
            if frame is not None and report.newest not in self._frame_sent_ms:
                self._round_trip.push_sample(max(0.0, now_ms - frame.published_ms), now_ms)
        self._confirmed = min(report.confirmed, max(self._history.newest, -1))
        for number in [number for number in self._frame_sent_ms if number <= self._confirmed]:
            del self._frame_sent_ms[number]

    def _overdue(self, now_ms: float) -> bool:
        """Tell whether the last patch, or key frame, has had its time."""
        return now_ms - self._patch_sent_ms >= self.wait_ms

    def _send_epoch(self, now_ms: float) -> list[Action]:
        """Send the epoch record."""
        self._epoch_sent_ms = now_ms
        return [SendEpoch(self._history.epoch_record)]

    def _ask_patch(self, since: int, now_ms: float) -> list[Action]:
        """Ask for a patch unless one is being made."""
        if self._asked_ms is not None and now_ms - self._asked_ms < self.MAKE_WAIT_MS:
            return []
        self._asked_ms = now_ms
        return [MakePatch(since)]

    def _parts_again(self, missing: tuple[int, ...], now_ms: float) -> list[Action]:
        """Send the parts of the present patch that are overdue."""
        patch = self._patch
        if patch is None:
            return []
        due = [n for n in missing if now_ms - self._part_sent_ms.get(n, now_ms) >= self.wait_ms]
        if not due:
            return []
        self._part_sent_ms.update(dict.fromkeys(due, now_ms))
        self._patch_sent_ms = now_ms
        return [SendPatchParts(tuple(patch.parts[n] for n in due))]

    def _join_again(self, now_ms: float) -> list[Action]:
        """The receiver has nothing exact: the epoch's frames from its key frame on, or the whole state."""
        if not self._overdue(now_ms):
            return []
        frames = self._history.since_key()
        if frames is not None and sum(frame.size_bytes for frame in frames) <= self._patch_bytes(-1):
            self._patch_sent_ms = now_ms
            return [SendFrames(tuple(frames))]
        return self._ask_patch(-1, now_ms)

    def _fill_gap(self, report: Report, now_ms: float) -> list[Action]:
        """Send what is overdue: the missing frames or a patch, whichever is smaller."""
        missing = self._missing(report, now_ms)
        if not missing:
            return []
        frames = self._history.pick(missing) if len(missing) <= MASK_BITS else None
        if frames is None or sum(frame.size_bytes for frame in frames) > self._patch_bytes(report.confirmed):
            return self._ask_patch(report.confirmed, now_ms)
        self._frame_sent_ms.update(dict.fromkeys(missing, now_ms))
        self.frames_again += len(frames)
        return [SendFrames(tuple(frames))]

    def _missing(self, report: Report, now_ms: float) -> list[int]:
        """Return the numbers of frames that should have been received by now."""
        missing = []
        for number in range(report.confirmed + 1, self._history.newest + 1):
            bit = number - report.confirmed - 1
            if bit < MASK_BITS and report.mask >> bit & 1:
                continue
            frame = self._history.get(number)
            sent_ms = self._frame_sent_ms.get(number, frame.published_ms if frame else float("-inf"))
            if now_ms - sent_ms >= self.wait_ms:
                missing.append(number)
            if len(missing) > MASK_BITS:
                break
        return missing
