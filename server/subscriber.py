"""The one splat stream of one subscriber: all publishers' records in, datagrams out, at the subscriber's pace."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from server.congestion import Congestion, Way
from server.datagram import Bundler, Record, RecordKind
from server.history import FrameHistory, PublishedFrame
from server.repair import Action, MakePatch, PatchParts, SendEpoch, SendFrames, SendPatchParts, StreamRepair
from server.reports import Report

__all__ = ["PatchWanted", "Step", "Subscriber"]

_FRAMES = frozenset({RecordKind.FRAME, RecordKind.PATCH})
_ALL = frozenset(RecordKind)


@dataclass(frozen=True)
class PatchWanted:
    """A patch to be made off the event loop and handed to `Subscriber.push_patch`."""

    stream: int
    since: int


@dataclass
class Step:
    """What a poll asks the shell to do."""

    datagrams: list[bytes] = field(default_factory=list)
    patches: list[PatchWanted] = field(default_factory=list)


class Subscriber:
    """Pure: every call takes the time; nothing here sleeps, sends or locks.

    Held records are bounded by `Congestion`: after 300 ms of a blocked way frames and patches are dropped
    and each stream gets one patch when the way opens.
    """

    MAX_DATAGRAMS_A_POLL = 12  # paces patches and key frames: about 14 kB in 5 ms
    MAX_HELD_BYTES = 512 * 1024  # above: treated as given up at once

    def __init__(self, now_ms: float, bundle_ms: float = 5.0) -> None:
        self._bundler = Bundler(bundle_ms)
        self._bundle_ms = bundle_ms
        self._congestion = Congestion(now_ms)
        self._repairs: dict[int, StreamRepair] = {}
        self._given_up: set[int] = set()
        self._wanted: list[PatchWanted] = []
        self._held = False
        self.datagrams = 0
        self.bytes = 0

    @property
    def streams(self) -> frozenset[int]:
        """Streams subscribed to."""
        return frozenset(self._repairs)

    def repair_of(self, stream: int) -> StreamRepair | None:
        """Return the repair of a stream, for figures."""
        return self._repairs.get(stream)

    def add_stream(self, stream: int, history: FrameHistory, patch_bytes: Callable[[int], int], now_ms: float) -> None:
        """Subscribe to a publisher: its epoch record and a join patch are asked for at once."""
        repair = StreamRepair(history, patch_bytes)
        self._repairs[stream] = repair
        self._set_wait()
        self._perform(stream, repair.start(now_ms), now_ms)

    def remove_stream(self, stream: int) -> None:
        """Forget a publisher and every record of it."""
        self._repairs.pop(stream, None)
        self._given_up.discard(stream)
        self._wanted = [wanted for wanted in self._wanted if wanted.stream != stream]
        self._bundler.drop(_ALL, stream)
        self._set_wait()

    def begin_epoch(self, stream: int, now_ms: float) -> None:
        """Send the record of a publisher's new epoch; its key frame follows by `push_frame`."""
        repair = self._repairs.get(stream)
        if repair is not None:
            self._given_up.discard(stream)
            self._perform(stream, repair.epoch_began(now_ms), now_ms)

    def push_frame(self, stream: int, frame: PublishedFrame, now_ms: float) -> None:
        """Queue a live frame."""
        if stream in self._repairs and stream not in self._given_up:
            self._queue(stream, RecordKind.FRAME, frame.parts, now_ms)

    def push_patch(self, stream: int, patch: PatchParts, now_ms: float) -> None:
        """Queue a patch that was wanted."""
        repair = self._repairs.get(stream)
        if repair is not None:
            self._perform(stream, repair.patch_made(patch, now_ms), now_ms)

    def push_figures(self, stream: int, body: bytes, now_ms: float) -> None:
        """Queue a publisher's figures; they are dropped while the way is held."""
        if stream in self._repairs and not self._held:
            self._queue(stream, RecordKind.FIGURES, (body,), now_ms)

    def push_report(self, stream: int, report: Report, now_ms: float) -> None:
        """Take a report of the receiver."""
        self._congestion.report_came(now_ms)
        repair = self._repairs.get(stream)
        if repair is not None:
            self._perform(stream, repair.report_came(report, now_ms), now_ms)

    def poll(self, queued_bytes: int, now_ms: float) -> Step:
        """Return the datagrams to send and the patches to make now, given what the transport still holds."""
        step = Step()
        way = self._congestion.judge(queued_bytes, now_ms)
        self._held = way is not Way.OPEN
        if way is Way.GIVEN_UP or self._bundler.size_bytes > self.MAX_HELD_BYTES:
            self._given_up |= self._bundler.drop(_FRAMES)
        if way is Way.OPEN:
            self._resume(now_ms)
            step.datagrams = self._bundler.pull(now_ms, self.MAX_DATAGRAMS_A_POLL)
            self.datagrams += len(step.datagrams)
            self.bytes += sum(len(datagram) for datagram in step.datagrams)
        step.patches, self._wanted = self._wanted, []
        return step

    def due_ms(self) -> float | None:
        """When the next poll has something to do, None when nothing waits."""
        return 0.0 if self._wanted or self._given_up else self._bundler.due_ms()

    def _resume(self, now_ms: float) -> None:
        """Ask for a patch for each stream whose frames were given up."""
        for stream in sorted(self._given_up):
            repair = self._repairs.get(stream)
            if repair is not None:
                self._perform(stream, repair.resume(now_ms), now_ms)
        self._given_up.clear()

    def _perform(self, stream: int, actions: Iterable[Action], now_ms: float) -> None:
        """Queue what a repair asks for."""
        for action in actions:
            match action:
                case SendEpoch(record):
                    self._queue(stream, RecordKind.EPOCH, (record,), now_ms)
                case SendFrames(frames):
                    for frame in frames:
                        self._queue(stream, RecordKind.FRAME, frame.parts, now_ms)
                case SendPatchParts(parts):
                    self._queue(stream, RecordKind.PATCH, parts, now_ms)
                case MakePatch(since):
                    self._wanted.append(PatchWanted(stream, since))

    def _queue(self, stream: int, kind: RecordKind, bodies: Iterable[bytes], now_ms: float) -> None:
        """Queue records."""
        for body in bodies:
            self._bundler.push(Record(stream, kind, body), now_ms)

    def _set_wait(self) -> None:
        """Wait for other publishers' records only where there are others."""
        self._bundler.wait_ms = self._bundle_ms if len(self._repairs) > 1 else 0.0
