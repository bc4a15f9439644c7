"""Shared memory between the server and its encode workers: pictures in, state out (wire.md, "Patch, join, repeat").

The state is double-buffered: the worker writes the half that is not shown, then raises the sequence number, whose
lowest bit names the half to read. A reader that finds the sequence number changed after copying tries again. A worker
that dies in the middle of a write leaves the shown half as it was.
"""

import os
import secrets
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory

import numpy as np
import numpy.typing as npt

from codec.bitstream.epoch import parse_epoch
from codec.types import BLOCK_SLOTS, FIELDS, SplatState

__all__ = ["SEGMENT_PREFIX", "PictureBuffer", "StateBuffer", "StateSnapshot"]

MAX_SLOTS = 1024 * BLOCK_SLOTS
MIN_GRID_PX = 16  # finest grid of base and vectors
MAX_RECORD_BYTES = 4096
HEADER_BYTES = 64
READ_TRIES = 20
SEGMENT_PREFIX = "splatcall_"  # names: prefix, process id of the server, random

ChangedArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class StateSnapshot:
    """A copy of a publisher's state."""

    state: SplatState
    last_changed: ChangedArray  # [slots] number of the frame that changed the slot last
    epoch_record: bytes


class _Half:
    """One of the two copies of the state, as arrays over the shared memory."""

    HEADER = ("epoch", "frame_number", "slots", "base_rows", "base_columns", "rows", "columns", "record_bytes")

    def __init__(self, memory: SharedMemory, start: int, grid_cells: int) -> None:
        view, at = memory.buf, start
        self.header: ChangedArray = np.ndarray((8,), np.int64, view, at)
        at += HEADER_BYTES
        self.record = np.ndarray((MAX_RECORD_BYTES,), np.uint8, view, at)
        at += MAX_RECORD_BYTES
        self.last_changed: ChangedArray = np.ndarray((MAX_SLOTS,), np.int64, view, at)
        at += self.last_changed.nbytes
        self.splats = np.ndarray((MAX_SLOTS * FIELDS,), np.int32, view, at)
        at += self.splats.nbytes
        self.base = np.ndarray((3 * grid_cells,), np.int32, view, at)
        at += self.base.nbytes
        self.vectors = np.ndarray((2 * grid_cells,), np.int32, view, at)

    @staticmethod
    def size_bytes(grid_cells: int) -> int:
        """Bytes of one half, a multiple of 64."""
        size = HEADER_BYTES + MAX_RECORD_BYTES + MAX_SLOTS * (8 + 4 * FIELDS) + 4 * 5 * grid_cells
        return -(-size // 64) * 64


class StateBuffer:
    """A publisher's state; one worker writes, the server reads."""

    def __init__(self, memory: SharedMemory, long_side_px: int, *, owner: bool) -> None:
        self._memory = memory
        self._owner = owner
        self.long_side_px = long_side_px
        cells = _grid_cells(long_side_px)
        self._sequence: ChangedArray = np.ndarray((1,), np.int64, memory.buf, 0)
        size = _Half.size_bytes(cells)
        self._halves = tuple(_Half(memory, HEADER_BYTES + index * size, cells) for index in range(2))

    @classmethod
    def create(cls, long_side_px: int) -> "StateBuffer":
        """Make the memory for pictures of at most this size; `close` frees it."""
        size = HEADER_BYTES + 2 * _Half.size_bytes(_grid_cells(long_side_px))
        return cls(_create(size), long_side_px, owner=True)

    @classmethod
    def attach(cls, name: str, long_side_px: int) -> "StateBuffer":
        """Open what another process made."""
        return cls(_attach(name), long_side_px, owner=False)

    @property
    def name(self) -> str:
        """Name to attach by."""
        return self._memory.name

    def close(self) -> None:
        """Let go of the memory; its maker frees it."""
        del self._sequence, self._halves
        _close(self._memory, owner=self._owner)

    def write(self, state: SplatState, last_changed: ChangedArray, epoch_record: bytes) -> None:
        """Show a new state; only the worker that encodes this publisher calls this."""
        if len(epoch_record) > MAX_RECORD_BYTES or len(last_changed) != len(state.splats):
            raise ValueError(f"epoch record of {len(epoch_record)} bytes, {len(last_changed)} slots")
        sequence = int(self._sequence[0])
        half = self._halves[(sequence + 1) & 1]
        splats, base, vectors = state.splats.ravel(), state.base.ravel(), state.vectors.ravel()
        half.splats[: splats.size] = splats
        half.base[: base.size] = base
        half.vectors[: vectors.size] = vectors
        half.last_changed[: len(last_changed)] = last_changed
        half.record[: len(epoch_record)] = np.frombuffer(epoch_record, np.uint8)
        half.header[:] = (
            state.epoch.epoch,
            state.frame_number,
            len(state.splats),
            *state.base.shape[1:],
            *state.vectors.shape[:2],
            len(epoch_record),
        )
        self._sequence[0] = sequence + 1

    def read(self) -> StateSnapshot | None:
        """Return a copy of the state shown now, None before the first."""
        for _ in range(READ_TRIES):
            sequence = int(self._sequence[0])
            if sequence == 0:
                return None
            half = self._halves[sequence & 1]
            _, frame_number, slots, base_rows, base_columns, rows, columns, record_bytes = half.header.tolist()
            splats = half.splats[: slots * FIELDS].reshape(slots, FIELDS).copy()
            base = half.base[: 3 * base_rows * base_columns].reshape(3, base_rows, base_columns).copy()
            vectors = half.vectors[: rows * columns * 2].reshape(rows, columns, 2).copy()
            last_changed = half.last_changed[:slots].copy()
            record = half.record[:record_bytes].tobytes()
            if int(self._sequence[0]) == sequence:
                state = SplatState(parse_epoch(record), splats, base, vectors, frame_number)
                return StateSnapshot(state, last_changed, record)
        raise RuntimeError(f"state {self.name} changed during each of {READ_TRIES} reads")

    def changed_since(self, frame_number: int) -> tuple[int, int]:
        """Return how many slots changed after a frame, and how many values base and vectors have; an estimate."""
        half = self._halves[int(self._sequence[0]) & 1]
        _, _, slots, base_rows, base_columns, rows, columns, _ = half.header.tolist()
        if frame_number < 0:
            changed = np.count_nonzero(half.splats[: slots * FIELDS].reshape(slots, FIELDS)[:, FIELDS - 1])
        else:
            changed = np.count_nonzero(half.last_changed[:slots] > frame_number)
        return int(changed), 3 * base_rows * base_columns + 2 * rows * columns


class PictureBuffer:
    """The picture that is being encoded: the server writes it, then the worker reads it, one at a time."""

    def __init__(self, memory: SharedMemory, *, owner: bool) -> None:
        self._memory = memory
        self._owner = owner

    @classmethod
    def create(cls, long_side_px: int) -> "PictureBuffer":
        """Make the memory for pictures of at most this size; `close` frees it."""
        return cls(_create(3 * long_side_px * long_side_px), owner=True)

    @classmethod
    def attach(cls, name: str) -> "PictureBuffer":
        """Open what another process made."""
        return cls(_attach(name), owner=False)

    @property
    def name(self) -> str:
        """Name to attach by."""
        return self._memory.name

    def view(self, width_px: int, height_px: int) -> npt.NDArray[np.uint8]:  # [height, width, 3] RGB
        """Return the picture's array over the shared memory; it must be gone before `close`."""
        return np.ndarray((height_px, width_px, 3), np.uint8, self._memory.buf)

    def close(self) -> None:
        """Let go of the memory; its maker frees it."""
        _close(self._memory, owner=self._owner)


def _grid_cells(long_side_px: int) -> int:
    """Cells of the finest grid over the largest picture."""
    return (long_side_px // MIN_GRID_PX + 2) ** 2


def _create(size_bytes: int) -> SharedMemory:
    """Make memory whose name tells whose it is."""
    name = f"{SEGMENT_PREFIX}{os.getpid()}_{secrets.token_hex(8)}"
    return SharedMemory(name, create=True, size=size_bytes)


def _attach(name: str) -> SharedMemory:
    """Open memory that another process frees.

    The resource tracker is not told: where its owner frees the memory at this very moment, it would take it for
    leaked (python/cpython#82300; Python 3.13 has `track=False`). Raises FileNotFoundError when it is freed already.
    """
    register = resource_tracker.register
    resource_tracker.register = lambda name, rtype: None
    try:
        return SharedMemory(name)
    finally:
        resource_tracker.register = register


def _close(memory: SharedMemory, *, owner: bool) -> None:
    """Close, and unlink what this process made."""
    try:
        memory.close()
    finally:
        if owner:
            memory.unlink()
