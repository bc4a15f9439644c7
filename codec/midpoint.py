"""Two pictures in one frame: a midpoint shows the first of them, where it shows it well enough (SPEC section 3).

With `delay_frames` 1 an encoder holds one picture back. When the next has come, that is coded first, as a frame which
asks for the midpoint of the states before and after it; if the midpoint is near enough to the picture that was held,
the one frame stands for both pictures, with about two thirds of the bits and half the work of two. At effort "best"
the test is exact: where it fails the encoder goes back and codes both pictures. At effort "live" there is no time for
that: the last midpoints and the amount of motion decide beforehand.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from math import log10

import numpy as np
import numpy.typing as npt

from codec.encoder import Encoder
from codec.render import render
from codec.scene import shrink
from codec.state import midpoint_splats
from codec.types import EncodedFrame, FloatArray, SplatState
from codec.work_file import WorkRun, open_work

__all__ = ["MidpointRule", "encode_pictures", "midpoint_of"]

Picture = npt.NDArray[np.uint8]  # [H, W, 3]
Luma = npt.NDArray[np.float32]  # [H, W] 0..255

_BLOCK_PX = 16  # of the importance weights


class MidpointRule:
    """Which frames are worth a midpoint, from what earlier ones lost. Pure.

    A midpoint that loses too much closes the way for a while, twice as long each time; and so does motion well above
    that of the midpoints that were good.
    """

    MOST_LOST_DB = 0.3  # of a picture, against the pictures before and after it
    LONGEST_WAIT = 16  # pictures
    MOST_MOTION = 2.0  # times that of good midpoints ...
    STILL = 0.5  # ... and so much more (mean change of luma, 0..255)

    def __init__(self) -> None:
        """Start ready to try."""
        self._wait = 0
        self._next_wait = 1
        self._good_motion: float | None = None

    def tries(self, motion: float) -> bool:
        """Tell whether to try a midpoint, given the change of luma (0..255) from one of its states to the other."""
        if self._wait > 0:
            self._wait -= 1
            return False
        return self._good_motion is None or motion <= self.MOST_MOTION * self._good_motion + self.STILL

    def note(self, lost_db: float, motion: float) -> bool:
        """Take what a midpoint lost and return whether that is little enough."""
        good = lost_db <= self.MOST_LOST_DB
        if good:
            self._next_wait = 1
            before = motion if self._good_motion is None else self._good_motion
            self._good_motion = before + 0.2 * (motion - before)
        else:
            self._wait, self._next_wait = self._next_wait, min(2 * self._next_wait, self.LONGEST_WAIT)
        return good


def midpoint_of(before: SplatState, after: SplatState) -> SplatState:
    """Return the state to show between two states of one epoch."""
    return replace(after, splats=midpoint_splats(before.splats, after.splats))


def encode_pictures(
    encoder: Encoder, pictures: Iterable[Picture], work: WorkRun | None = None
) -> Iterator[EncodedFrame]:
    """Encode pictures one after another, with the delay that the encoder's configuration allows.

    Every picture is in one frame, in order; `EncodedFrame.pictures` says how many are in each.
    """
    if work is None:
        with open_work(None, encoder.config) as unwritten:
            yield from encode_pictures(encoder, pictures, unwritten)
        return
    if encoder.config.delay_frames:
        yield from _Pairing(encoder, work).frames(pictures)
        return
    for picture in pictures:
        frame = encoder.encode(picture, work=work.of(picture))
        work.push(frame)
        yield frame


class _Pairing:
    """Holds one picture back and pairs it with the next where their midpoint is good."""

    def __init__(self, encoder: Encoder, work: WorkRun) -> None:
        self._encoder = encoder
        self._work = work
        self._rule = MidpointRule()
        self._is_exact = encoder.config.effort == "best"
        self._error = 0.0  # of the last coded picture
        self._last: Luma | None = None  # that picture

    def frames(self, pictures: Iterable[Picture]) -> Iterator[EncodedFrame]:
        """Encode all pictures."""
        held: Picture | None = None
        for picture in pictures:
            if held is None and self._encoder.state is not None:
                held = picture
                continue
            if held is not None:
                frame = self._try_both(held, picture)
                if frame is not None:
                    held = None
                    yield frame
                    continue
            coded, held = (picture, None) if held is None else (held, picture)
            yield self._encode(coded)
        if held is not None:
            yield self._encode(held)

    def _encode(self, picture: Picture) -> EncodedFrame:
        """Encode one picture by itself."""
        frame = self._encoder.encode(picture, work=self._work.of(picture))
        return self._keep(frame, _luma(picture))

    def _keep(self, frame: EncodedFrame, luma: Luma) -> EncodedFrame:
        """Take note of a frame that is sent."""
        assert self._encoder.state is not None
        self._work.push(frame)
        self._error = self._error_of(self._encoder.state, luma)
        self._last = luma
        return frame

    def _try_both(self, held: Picture, picture: Picture) -> EncodedFrame | None:
        """Return one frame for both pictures, or None where they are to be coded apart."""
        before = self._encoder.state
        assert before is not None
        assert self._last is not None
        luma, held_luma = _luma(picture), _luma(held)
        motion = float(np.abs(_small(luma) - _small(self._last)).mean())
        if not self._rule.tries(0.0 if self._is_exact else motion):
            return None
        before, memory = before.copy(), self._encoder.remember()
        frame = self._encoder.encode(picture, midpoint=True, work=self._work.of(picture))
        after = self._encoder.state
        assert after is not None
        if frame.kind != "p":  # the picture that is held belongs to another scene
            self._encoder.go_back(memory)
            return None
        around = 0.5 * (self._error + self._error_of(after, luma))
        between = self._error_of(midpoint_of(before, after), held_luma)
        good = self._rule.note(10 * log10(max(between, 1e-3) / max(around, 1e-3)), motion)
        if self._is_exact and not good:
            self._encoder.go_back(memory)
            return None
        return self._keep(frame, luma)

    def _error_of(self, state: SplatState, luma: Luma) -> float:
        """Return the mean squared error of a state's luma, weighted as the encoder weighs blocks."""
        shown = np.clip(render(state, threads=self._encoder.config.threads)[0], 0, 255)
        error = (shown - luma) ** 2
        weights = self._encoder.weights.repeat(_BLOCK_PX, axis=0).repeat(_BLOCK_PX, axis=1)
        own: FloatArray = weights[: luma.shape[0], : luma.shape[1]]
        return float((error * own).sum() / own.sum())


def _small(luma: Luma) -> npt.NDArray[np.float32]:
    """Return a small version, for the amount of motion."""
    return shrink(luma.astype(np.uint8))


def _luma(picture: Picture) -> Luma:
    """Return BT.601 luma, float32 [H, W]."""
    luma: Luma = picture.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    return luma
