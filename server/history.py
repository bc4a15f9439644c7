"""What a publisher sent lately: the epoch and its frames, kept to be sent again (10 s or 256 KiB)."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["FrameHistory", "PublishedFrame"]


@dataclass(frozen=True)
class PublishedFrame:
    """One encoded frame on its way to subscribers."""

    epoch: int
    number: int
    kind: str  # "key" or "p"
    parts: tuple[bytes, ...]
    published_ms: float

    @property
    def size_bytes(self) -> int:
        """Bytes of all parts."""
        return sum(len(part) for part in self.parts)


class FrameHistory:
    """Frames of the present epoch, the oldest dropped first once there are too many or they are too old."""

    MAX_AGE_MS = 10_000.0
    MAX_BYTES = 256 * 1024

    def __init__(self) -> None:
        self.epoch = -1
        self.epoch_record = b""
        self._frames: OrderedDict[int, PublishedFrame] = OrderedDict()
        self._size_bytes = 0

    @property
    def newest(self) -> int:
        """Number of the newest frame, -1 if there is none."""
        return next(reversed(self._frames), -1)

    @property
    def size_bytes(self) -> int:
        """Bytes of all frames held."""
        return self._size_bytes

    def __len__(self) -> int:
        """Number of frames held."""
        return len(self._frames)

    def begin_epoch(self, epoch: int, record: bytes) -> None:
        """Forget the frames of the epoch before."""
        self.epoch, self.epoch_record = epoch, record
        self._frames.clear()
        self._size_bytes = 0

    def push(self, frame: PublishedFrame) -> None:
        """Add a frame of the present epoch."""
        if frame.epoch != self.epoch:
            raise ValueError(f"frame of epoch {frame.epoch} in the history of epoch {self.epoch}")
        self._frames[frame.number] = frame
        self._size_bytes += frame.size_bytes
        while self._frames and (
            self._size_bytes > self.MAX_BYTES
            or frame.published_ms - next(iter(self._frames.values())).published_ms > self.MAX_AGE_MS
        ):
            _, oldest = self._frames.popitem(last=False)
            self._size_bytes -= oldest.size_bytes

    def get(self, number: int) -> PublishedFrame | None:
        """Return a frame that is still held."""
        return self._frames.get(number)

    def pick(self, numbers: Iterable[int]) -> list[PublishedFrame] | None:
        """Return these frames, or None if one of them is gone."""
        frames = [self._frames.get(number) for number in numbers]
        found = [frame for frame in frames if frame is not None]
        return found if len(found) == len(frames) else None

    def since_key(self) -> list[PublishedFrame] | None:
        """Return every frame of the epoch from its key frame on, or None if the key frame is gone."""
        frames = list(self._frames.values())
        return frames if frames and frames[0].kind == "key" else None
