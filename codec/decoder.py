"""The decoder: epoch records, frames and patches in, states and pictures out."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from codec.bitstream.epoch import parse_epoch
from codec.bitstream.frame import parse_frame
from codec.bitstream.patch import apply_patch_part, parse_patch_part
from codec.errors import BitstreamError, StreamStateError
from codec.state import apply_frame, midpoint_splats, state_hash, unwrap_number
from codec.types import EpochRecord, SplatState

__all__ = ["Decoder"]

Picture = npt.NDArray[np.uint8]


class Decoder:
    """Holds one stream's state; frames must come without a gap.

    Raises BitstreamError for bytes that are not what they should be; the state is then as it was before.
    """

    def __init__(self) -> None:
        """Start without a state: an epoch record comes first."""
        self._epoch: EpochRecord | None = None
        self._state: SplatState | None = None
        self._midpoint: SplatState | None = None

    @property
    def state(self) -> SplatState:
        """The state after the last frame; raises StreamStateError before the first."""
        if self._state is None:
            raise StreamStateError("no frame has been decoded yet")
        return self._state

    @property
    def midpoint(self) -> SplatState | None:
        """The state to show one picture before this one, where the last frame asks for it."""
        return self._midpoint

    def push_epoch(self, record: bytes) -> EpochRecord:
        """Take an epoch record; the next frame is its key frame, or a patch follows."""
        self._epoch = parse_epoch(record)
        return self._epoch

    def push_frame(self, parts: Sequence[bytes]) -> SplatState:
        """Apply a frame of all its parts; returns the new state, which later calls leave alone."""
        if self._epoch is None:
            raise StreamStateError("an epoch record comes before the first frame")
        frame = parse_frame(parts, self._epoch)
        starts = self._state is None or self._state.epoch != self._epoch
        if frame.kind == "p" and starts:
            raise BitstreamError(f"epoch {self._epoch.epoch}: expected a key frame first, got a P-frame")
        before = self._state
        state = SplatState.empty(self._epoch) if before is None or starts else before.copy()
        state.frame_number = before.frame_number if before is not None else -1
        apply_frame(state, frame)
        if frame.hash16 is not None and frame.hash16 != state_hash(state):
            raise BitstreamError(f"frame {frame.number}: state hash is {state_hash(state)}, not {frame.hash16}")
        self._state, self._midpoint = state, None
        if frame.midpoint and frame.kind == "p" and before is not None:
            self._midpoint = replace(state, splats=midpoint_splats(before.splats, state.splats))
        return state

    def preview(self, parts: Sequence[bytes]) -> SplatState:
        """Return what some parts of a key frame, part 0 among them, show before the others are there.

        The decoder's own state stays as it is: `push_frame` takes the whole frame.
        """
        if self._epoch is None:
            raise StreamStateError("an epoch record comes before the first frame")
        frame = parse_frame(parts, self._epoch, partial=True)
        if frame.kind != "key":
            raise BitstreamError("expected parts of a key frame, got a P-frame")
        state = SplatState.empty(self._epoch)
        apply_frame(state, frame)
        return state

    def push_patch(self, parts: Sequence[bytes]) -> SplatState:
        """Apply a whole patch; one from nothing needs no state before it."""
        if self._epoch is None:
            raise StreamStateError("an epoch record comes before the first patch")
        epoch = self._epoch
        parsed = sorted((parse_patch_part(part, epoch) for part in parts), key=lambda part: part.part)
        heads = {(part.since, part.number, part.parts, part.hash16) for part in parsed}
        if len(heads) != 1 or [part.part for part in parsed] != list(range(parsed[0].parts)):
            raise BitstreamError(f"expected all parts of one patch, got {len(parsed)} of {len(heads)} patches")
        if parsed[0].since < 0:
            state = SplatState.empty(epoch)
        elif self._state is None or self._state.epoch != epoch:
            raise BitstreamError(f"a patch from frame {parsed[0].since} needs a state of epoch {epoch.epoch}")
        else:
            state = self._state.copy()
        for part in parsed:
            apply_patch_part(state, part)
        if state_hash(state) != parsed[0].hash16:
            raise BitstreamError(f"patch to {parsed[0].number}: hash {state_hash(state)}, not {parsed[0].hash16}")
        last = self._state.frame_number if self._state is not None else -1
        state.frame_number = unwrap_number(parsed[0].number, last)
        self._state, self._midpoint = state, None
        return state

    def picture(self, scale: float = 1.0, region: tuple[int, int, int, int] | None = None) -> Picture:
        """Return the state's picture [H, W, 3], RGB; region: x, y, width, height in coded px."""
        from codec import render  # a receiver that only keeps state needs no renderer

        return render.to_rgb(render.render(self.state, scale, region))

    def shown(self) -> tuple[SplatState, ...]:
        """Return the states that the last frame or patch shows, in order: a midpoint where it asks for one, its own."""
        return (self.state,) if self._midpoint is None else (self._midpoint, self.state)
