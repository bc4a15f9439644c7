"""An encoder for tests of the server: valid frames made in no time, of a picture that is only a base and 40 splats."""

import os
import time

import numpy as np
import numpy.typing as npt

from codec.bitstream.epoch import pack_epoch
from codec.bitstream.frame import parse_frame, serialize_key, serialize_p
from codec.config import EncoderConfig
from codec.state import apply_frame, state_hash
from codec.types import EncodedFrame, EpochRecord, FrameStats, KeyCommands, PCommands, SplatState

SPLATS = 40
WHITE_FAILS = 250  # a picture whose darkest value is above this one makes the encoder raise
BLACK_HANGS_PX = 22  # a wholly black picture of this height kills the worker in the middle of its work


class FakeEncoder:
    """Stands in for `codec.encoder.Encoder` in a worker process; its pictures say nothing but their brightness."""

    def __init__(self, config: EncoderConfig, state: SplatState | None = None, *, new_epoch: bool = False) -> None:
        self.config = config
        self.state = state
        self._new_epoch = new_epoch
        self.last_changed = np.full(0 if state is None else state.epoch.slots, -1, np.int64)

    def encode(
        self,
        rgb: npt.NDArray[np.uint8],
        *,
        budget_ms: float | None = None,
        force_key: bool = False,
        midpoint: bool = False,
        time_s: float | None = None,
    ) -> EncodedFrame:
        """Encode a picture's brightness."""
        started = time.perf_counter()
        record: bytes | None
        assert rgb.shape == (self.config.height_px, self.config.width_px, 3)
        if rgb.min() > WHITE_FAILS:
            raise ValueError("too white")
        if rgb.max() == 0 and rgb.shape[0] == BLACK_HANGS_PX:
            os.kill(os.getpid(), 9)
        state = self.state
        if state is None or force_key or self._new_epoch:
            epoch, number, parts, record = self._key(rgb)
        else:
            epoch, number, parts = self._p(state, rgb, midpoint)
            record = None
        assert self.state is not None
        elapsed_ms = (time.perf_counter() - started) * 1000
        kind = "p" if record is None else "key"
        sent = sum(len(part) for part in parts) + len(record or b"")
        stats = FrameStats(number, kind, sent, elapsed_ms, elapsed_ms, SPLATS, 1, {"pack": elapsed_ms})
        return EncodedFrame(epoch, number, kind, parts, record, stats, state_hash(self.state))

    def close(self) -> None:
        """Nothing is held."""

    def _key(self, rgb: npt.NDArray[np.uint8]) -> tuple[int, int, tuple[bytes, ...], bytes]:
        before = self.state
        number = 0 if before is None else before.frame_number + 1
        epoch = EpochRecord(
            epoch=0 if before is None else before.epoch.epoch + 1,
            width_px=self.config.width_px,
            height_px=self.config.height_px,
            fps=(30, 1),
            layers=(8,),
        )
        levels = np.zeros(epoch.base_shape, np.int32)
        levels[0] = int(rgb.mean()) * 4 // 32
        random = np.random.default_rng(1)
        splats = np.zeros((SPLATS, 8), np.int32)
        splats[:, 0] = random.integers(0, epoch.width_px - 1, SPLATS) * 16
        splats[:, 1] = random.integers(0, epoch.height_px - 1, SPLATS) * 16
        splats[:, 2] = 8 * epoch.steps.key_scale
        splats[:, 5] = 21 * epoch.steps.key_luma
        parts = serialize_key(epoch, number, KeyCommands(levels, splats))
        state = SplatState.empty(epoch)
        state.frame_number = number - 1
        apply_frame(state, parse_frame(parts, epoch))
        self.state = state
        self._new_epoch = False
        self.last_changed = np.full(epoch.slots, number, np.int64)
        return epoch.epoch, number, parts, pack_epoch(epoch)

    def _p(self, state: SplatState, rgb: npt.NDArray[np.uint8], midpoint: bool) -> tuple[int, int, tuple[bytes, ...]]:
        number = state.frame_number + 1
        live = np.flatnonzero(state.splats[:, 8])
        slot = live[number % len(live)]
        deltas = np.zeros((1, 8), np.int32)
        deltas[0, 5] = 1 if number % 2 else -1
        base = np.zeros(state.epoch.base_shape, np.int32)
        base[0] = (int(rgb.mean()) * 4 - int(state.base[0].mean())) // 8
        commands = PCommands(base_delta=base, update_slots=np.array([slot], np.int32), update_deltas=deltas)
        after = state.copy()
        apply_frame(after, parse_frame(serialize_p(state, number, commands), state.epoch))
        parts = serialize_p(state, number, commands, hash16=state_hash(after), midpoint=midpoint)
        self.state = after
        self.last_changed[slot] = number
        return state.epoch.epoch, number, parts
