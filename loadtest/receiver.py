"""One publisher's stream as an aiortc peer receives it: records in, exact state and reports out.

The plain twin of the browser's receiver: it shows nothing, so it keeps only `confirmed` and the frames that wait.
"""

from codec.bitstream.epoch import parse_epoch
from codec.bitstream.frame import parse_frame
from codec.bitstream.header import parse_header
from codec.bitstream.patch import apply_patch_part, parse_patch_part
from codec.errors import BitstreamError
from codec.state import apply_frame, state_hash, unwrap_number
from codec.types import EPOCH_MODULUS, SplatState
from server.datagram import Record, RecordKind
from server.reports import MASK_BITS, PatchProgress, Report

__all__ = ["StreamReceiver"]

MAX_WAITING = 64  # frames, the oldest go first
MAX_EARLY = 512  # records of an epoch whose record has not come, the newest are refused


class _Patch:
    """A patch of which some parts came."""

    def __init__(self, since: int, to: int, parts: int, hash16: int) -> None:
        self.since, self.to, self.hash16 = since, to, hash16
        self.parts: list[bytes | None] = [None] * parts

    @property
    def missing(self) -> tuple[int, ...]:
        """Numbers of the parts that did not come yet."""
        return tuple(number for number, part in enumerate(self.parts) if part is None)


class StreamReceiver:
    """Follows one stream; bytes that the format does not allow are counted and change nothing."""

    def __init__(self) -> None:
        self.state: SplatState | None = None  # exact
        self.frames = 0
        self.patches = 0
        self.hash_bad = 0
        self.refused = 0
        self.newest = -1
        self._empty: SplatState | None = None  # of the present epoch
        self._is_bad = False
        self._waiting: dict[int, tuple[bytes, ...]] = {}
        self._parts: dict[int, dict[int, bytes]] = {}
        self._patch: _Patch | None = None
        self._early: list[Record] = []
        self._last = -1

    def push(self, record: Record) -> bool:
        """Take one record; tell whether the exact state moved on."""
        before = (self.state.epoch.epoch, self.state.frame_number) if self.state else None
        try:
            self._take(record)
        except BitstreamError:
            self.refused += 1
        return self.state is not None and (self.state.epoch.epoch, self.state.frame_number) != before

    def report(self, now_ms: float) -> Report:
        """Return the report that is due every 100 ms."""
        confirmed = self.state.frame_number if self.state else -1
        mask = 0
        for number in self._waiting if self.state else ():
            if 0 <= number - confirmed - 1 < MASK_BITS:
                mask |= 1 << (number - confirmed - 1)
        patch = self._patch
        return Report(
            epoch=self._empty.epoch.epoch if self._empty else -1,
            confirmed=confirmed,
            newest=self.newest,
            mask=mask,
            hash_bad=self._is_bad,
            patch=PatchProgress(patch.since, patch.to, patch.missing) if patch else None,
            client_ms=now_ms,
        )

    def _take(self, record: Record) -> None:
        match record.kind:
            case RecordKind.EPOCH:
                self._take_epoch(record.body)
            case RecordKind.FRAME | RecordKind.PATCH if self._empty is None:
                if len(self._early) < MAX_EARLY:
                    self._early.append(record)
            case RecordKind.FRAME:
                self._take_frame(record)
            case RecordKind.PATCH:
                self._take_patch(record)

    def _take_epoch(self, body: bytes) -> None:
        epoch = parse_epoch(body)
        if self._empty is not None and (epoch.epoch - self._empty.epoch.epoch) % 65536 in (0, *range(32768, 65536)):
            return
        self._empty = SplatState.empty(epoch)
        self.state, self._patch, self._is_bad, self.newest = None, None, False, -1
        self._waiting.clear()
        self._parts.clear()
        early, self._early = self._early, []
        for record in early:
            self._take(record)

    def _take_frame(self, record: Record) -> None:
        assert self._empty is not None
        header = parse_header(record.body)
        ahead = (header.epoch - self._empty.epoch.epoch) % EPOCH_MODULUS
        if ahead:
            if ahead < EPOCH_MODULUS // 2 and len(self._early) < MAX_EARLY:
                self._early.append(record)
            return
        number = unwrap_number(header.number, self._last)
        if (self.state is not None and number <= self.state.frame_number) or number in self._waiting:
            return
        parts = self._parts.setdefault(number, {})
        parts[header.part] = record.body
        if len(parts) < header.parts:
            return
        self._waiting[number] = tuple(parts[part] for part in sorted(parts))
        del self._parts[number]
        self.frames += 1
        self._last, self.newest = max(self._last, number), max(self.newest, number)
        while len(self._waiting) > MAX_WAITING:
            del self._waiting[min(self._waiting)]
        if header.kind == "key":
            self._start_from_key(number)
        self._run_on()

    def _start_from_key(self, number: int) -> None:
        assert self._empty is not None
        self.state = self._empty.copy()
        self.state.frame_number = number - 1
        self._patch, self._is_bad = None, False

    def _run_on(self) -> None:
        """Apply the frames that follow the exact state."""
        while self.state is not None and not self._is_bad:
            number = self.state.frame_number + 1
            parts = self._waiting.pop(number, None)
            if parts is None:
                break
            frame = parse_frame(parts, self.state.epoch)
            after = self.state.copy()
            apply_frame(after, frame)
            after.frame_number = number
            if frame.hash16 is not None and frame.hash16 != state_hash(after):
                self._is_bad = True
                self.hash_bad += 1
                return
            self.state = after
        if self.state is not None:
            done = self.state.frame_number
            self._waiting = {number: parts for number, parts in self._waiting.items() if number > done}
            self._parts = {number: parts for number, parts in self._parts.items() if number > done}
            if self._patch is not None and self._patch.to <= done:
                self._patch = None

    def _take_patch(self, record: Record) -> None:
        assert self._empty is not None
        part = parse_patch_part(record.body, self._empty.epoch)
        if part.epoch != self._empty.epoch.epoch:
            return
        to = unwrap_number(part.number, self._last)
        since = -1 if part.since < 0 else to - ((part.number - part.since) & 0xFFFF)
        exact = self.state is not None and not self._is_bad
        if self.state is not None and exact and not since <= self.state.frame_number < to:
            return
        if not exact and since != -1:
            return
        if self._patch is None or (self._patch.since, self._patch.to) != (since, to):
            self._patch = _Patch(since, to, part.parts, part.hash16)
        self._patch.parts[part.part] = record.body
        self._last, self.newest = max(self._last, to), max(self.newest, to)
        if not self._patch.missing:
            self._complete(self._patch)

    def _complete(self, patch: _Patch) -> None:
        assert self._empty is not None
        state = self._empty.copy() if patch.since < 0 or self.state is None else self.state.copy()
        for body in patch.parts:
            assert body is not None
            apply_patch_part(state, parse_patch_part(body, state.epoch))
        state.frame_number = patch.to
        self._patch = None
        self._is_bad = state_hash(state) != patch.hash16
        if self._is_bad:
            self.hash_bad += 1
            return
        self.patches += 1
        self.state = state
        self._run_on()
