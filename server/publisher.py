"""One publisher: newest-frame mailbox in front of an encode worker, encoded frames and figures behind it."""

import asyncio
import logging
import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import msgpack
import numpy as np
import numpy.typing as npt
from av import VideoFrame

from codec.bitstream.patch import make_patch
from codec.config import EncoderConfig
from codec.media import frame_to_rgb
from codec.types import EncodedFrame, SplatState
from server.clock import now_ms
from server.datagram import MAX_BODY_BYTES
from server.errors import WorkerError
from server.geometry import CameraSize, PictureSize
from server.history import FrameHistory, PublishedFrame
from server.repair import PatchParts
from server.settings import Settings
from server.workers.pace import FrameCost, Pace
from server.workers.pool import WorkerPool

__all__ = ["FrameRecord", "Publisher", "PublisherSink", "Resampler"]

logger = logging.getLogger(__name__)

FIGURES_S = 1.0
RECORDS = 3000  # encode records kept for /api/rooms/{room}/stats, the oldest go first
ACTIVE_MS = 2000.0  # a publisher whose camera was silent for longer takes no share of the time budget
FAILURE_PAUSE_S = 0.05
MIDPOINT_PERIODS = 2.5  # of the present frame rate: across a longer gap no midpoint is shown
HELD_S = 0.15  # that a frame waits for the one it is to share a datagram with; then it leaves alone
PATCH_BYTES_A_SLOT = 7  # estimate: 45 to 55 bits each (wire.md)


class PublisherSink(Protocol):
    """Who hears of a publisher's frames."""

    def epoch_began(self, publisher: "Publisher") -> None:
        """A new epoch's record is in the history; its key frame follows."""
        ...

    def frame_published(self, publisher: "Publisher", frame: PublishedFrame) -> None:
        """A frame is in the history."""
        ...

    def figures_made(self, publisher: "Publisher", body: bytes) -> None:
        """A figures record is due."""
        ...


@dataclass(frozen=True)
class FrameRecord:
    """How one frame was encoded, for figures and the load test."""

    epoch: int
    number: int
    kind: str
    bytes: int
    capture_ms: float
    published_ms: float
    encode_ms: float
    stages_ms: dict[str, float]


class Publisher:
    """Encodes one participant's pictures; the mailbox holds one picture, a newer one takes its place and is counted."""

    def __init__(
        self,
        participant_id: str,
        stream: int,
        pool: WorkerPool,
        settings: Settings,
        sink: PublisherSink,
        active_publishers: Callable[[], int],
    ) -> None:
        self.participant_id = participant_id
        self.stream = stream
        self.history = FrameHistory()
        self.records: deque[FrameRecord] = deque(maxlen=RECORDS)
        self.size: PictureSize | None = None
        self.dropped = 0  # pictures lost: overtaken in the mailbox, or with a worker
        self.skipped = 0  # pictures left out on purpose, for the frame rate or the bitrate
        self._settings = settings
        self._sink = sink
        self._active_publishers = active_publishers
        self._camera = CameraSize(settings.long_side_px)
        self._pace = Pace(os.cpu_count() or 1, settings.encoder_threads, settings.max_fps)
        self._lease = pool.open(self._config(PictureSize(16, 16)), settings.long_side_px)
        self._mailbox: tuple[VideoFrame, float] | None = None
        self._mail = asyncio.Event()
        self._picture_ms = float("-inf")
        self._last: EncodedFrame | None = None
        self._held: list[
            tuple[EncodedFrame, float]
        ] = []  # and capture times; as many as the encoder lets share a packet
        self._release_timer: asyncio.TimerHandle | None = None
        self._tasks = [asyncio.create_task(self._encode_all()), asyncio.create_task(self._tell_figures())]
        self._closed = False

    @property
    def is_active(self) -> bool:
        """Tell whether the camera sends pictures now."""
        return now_ms() - self._picture_ms < ACTIVE_MS

    @property
    def fps(self) -> float:
        """Frames published in the last second."""
        since_ms = now_ms() - 1000
        count = 0
        for record in reversed(self.records):
            if record.published_ms < since_ms:
                break
            count += 1
        return float(count)

    def offer(self, picture: VideoFrame, capture_ms: float) -> None:
        """Put a camera picture into the mailbox; what lay there is dropped, and what comes too fast is skipped."""
        now = now_ms()
        self._picture_ms = now
        if not self._pace.admit(now):
            self.skipped += 1
            return
        if self._mailbox is not None:
            self.dropped += 1
        self._mailbox = (picture, capture_ms)
        self._mail.set()

    def patch_bytes(self, since: int) -> int:
        """Estimate the size of a patch since a frame."""
        slots, others = self._lease.state.changed_since(since)
        return slots * PATCH_BYTES_A_SLOT + others

    async def make_patch(self, since: int) -> PatchParts | None:
        """Make a patch from the shared state, off the event loop; None before the first frame."""
        snapshot = self._lease.state.read()
        if snapshot is None:
            return None
        state = snapshot.state
        last_changed = snapshot.last_changed if since >= 0 else None
        parts = await asyncio.to_thread(make_patch, state, last_changed, since)
        return PatchParts(state.epoch.epoch, since, state.frame_number, parts)

    def state(self) -> SplatState | None:
        """Return a copy of the present state, None before the first frame."""
        snapshot = None if self._closed else self._lease.state.read()
        return None if snapshot is None else snapshot.state

    async def close(self) -> None:
        """Stop encoding and free the shared memory."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._mailbox = None
        if self._release_timer is not None:
            self._release_timer.cancel()
        await self._lease.close()

    async def _encode_all(self) -> None:
        """Encode what comes into the mailbox, one picture at a time."""
        while True:
            await self._mail.wait()
            self._mail.clear()
            mail, self._mailbox = self._mailbox, None
            if mail is None:
                continue
            picture, capture_ms = mail
            size = self._camera.coded(PictureSize(picture.width, picture.height), now_ms())
            began_ms = now_ms()
            try:
                frame = await self._lease.encode(
                    Resampler(picture, size),
                    self._config(size),
                    self._pace.budget_ms(),
                    midpoint=self._wants_midpoint(capture_ms),
                )
            except WorkerError as error:
                self.dropped += 1
                logger.warning("stream %s of %s: picture lost: %s", self.stream, self.participant_id, error)
                await asyncio.sleep(FAILURE_PAUSE_S)
                continue
            now = now_ms()
            if frame.kind == "p":  # a key frame may take longer and says nothing about the pace
                self._pace.push_cost(_cost_of(frame, now - began_ms), max(1, self._active_publishers()), now)
            self.size = size
            self._take(frame, capture_ms)

    def _take(self, frame: EncodedFrame, capture_ms: float) -> None:
        """Publish a frame with those held before it, or hold it, for a while at most."""
        if frame.kind == "skip":
            self.skipped += 1
            self._release()
            return
        self._held.append((frame, capture_ms))
        if not frame.held:
            self._release()
        elif self._release_timer is None:
            self._release_timer = asyncio.get_running_loop().call_later(HELD_S, self._release)

    def _release(self) -> None:
        """Publish what is held, at once: records that become ready together share a datagram."""
        if self._release_timer is not None:
            self._release_timer.cancel()
            self._release_timer = None
        held, self._held = self._held, []
        for frame, capture_ms in held:
            self._publish(frame, capture_ms, now_ms())

    def _wants_midpoint(self, capture_ms: float) -> bool:
        """Tell whether to ask for a midpoint before the next frame: not across a pause of the camera."""
        if not self._pace.midpoints or not self.records:
            return False
        return capture_ms - self.records[-1].capture_ms < MIDPOINT_PERIODS * 1000 / self._pace.fps

    def _publish(self, frame: EncodedFrame, capture_ms: float, now: float) -> None:
        """Put a frame into the history and tell the room."""
        self._last = frame
        stats = frame.stats
        self.records.append(
            FrameRecord(
                frame.epoch,
                frame.number,
                frame.kind,
                stats.bytes,
                capture_ms,
                now,
                stats.encode_ms,
                dict(stats.stages_ms),
            )
        )
        if frame.epoch_record is not None and frame.epoch != self.history.epoch:
            logger.info("stream %s of %s: epoch %s", self.stream, self.participant_id, frame.epoch)
            self.history.begin_epoch(frame.epoch, frame.epoch_record)
            self._sink.epoch_began(self)
        published = PublishedFrame(frame.epoch, frame.number, frame.kind, frame.parts, now)
        self.history.push(published)
        self._sink.frame_published(self, published)

    def _config(self, size: PictureSize) -> EncoderConfig:
        """Return the encoder's configuration for a size."""
        settings = self._settings
        return EncoderConfig(
            width_px=size.width_px,
            height_px=size.height_px,
            fps=(settings.max_fps, 1),
            quality=settings.quality,
            bitrate_kbps=settings.bitrate_kbps or None,
            max_splats=settings.max_splats,
            effort="live",
            importance=settings.importance,
            threads=settings.encoder_threads,
        )

    async def _tell_figures(self) -> None:
        """Once a second, tell what the slow figures are."""
        while True:
            await asyncio.sleep(FIGURES_S)
            if self._last is not None and self.is_active:
                self._sink.figures_made(self, self._figures(self._last))

    def _figures(self, last: EncodedFrame) -> bytes:
        """Return the body of a figures record (kind 3); frames that do not fit are left out, the oldest first."""
        now = now_ms()
        recent = [record for record in self.records if now - record.published_ms <= 1000 * FIGURES_S]
        stages: dict[str, list[float]] = {}
        for record in recent:
            for stage, stage_ms in record.stages_ms.items():
                stages.setdefault(stage, []).append(stage_ms)
        fields: dict[str, object] = {
            "now": now,
            "frames": [[r.epoch, r.number, round(r.capture_ms), round(r.encode_ms, 1)] for r in recent],
            "stages": {stage: round(sum(values) / len(values), 2) for stage, values in stages.items()},
            "dropped": self.dropped,
            "fps": self.fps,
            "splats": last.stats.splats,
            "changed": last.stats.changed,
            "kbps": round(sum(record.bytes for record in recent) * 8 / 1000 / FIGURES_S, 1),
        }
        body: bytes = msgpack.packb(fields)
        while len(body) > MAX_BODY_BYTES and recent:
            recent = recent[1:]
            fields["frames"] = [[r.epoch, r.number, round(r.capture_ms), round(r.encode_ms, 1)] for r in recent]
            body = msgpack.packb(fields)
        return body


def _cost_of(frame: EncodedFrame, wall_ms: float) -> FrameCost:
    """Return what a frame took."""
    stats = frame.stats
    return FrameCost(wall_ms, stats.encode_ms, stats.cpu_ms, frame.unvisited / max(stats.splats, 1))


class Resampler:
    """Writes a camera picture into the shared memory at the coded size; called in a thread."""

    def __init__(self, picture: VideoFrame, size: PictureSize) -> None:
        self._picture = picture
        self._size = size

    def __call__(self, target: npt.NDArray[np.uint8]) -> None:  # [height, width, 3]
        """Resample and copy."""
        target[:] = frame_to_rgb(self._picture, self._size.width_px, self._size.height_px)
