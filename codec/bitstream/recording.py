"""The symbols of streams, frame by frame in coded order: what tables are trained on and contexts measured with."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from codec.bitstream.entropy import PlaneCoder
from codec.bitstream.tables import ENTRIES, FIRST_ROW, ROW_ENTRY, TABLES
from codec.errors import MediaError
from codec.types import FloatArray, IntArray

__all__ = ["KINDS", "Recording", "RecordingEncoder"]

KINDS: Final = ("key", "p", "patch")


@dataclass(frozen=True)
class Recording:
    """Streams of one clip. Symbols are rows (a context of a table each, numbered through all tables) and values."""

    clip: str
    kinds: npt.NDArray[np.uint8]  # [frames] index into KINDS
    streams: npt.NDArray[np.uint8]  # [frames] which of the clip's streams a frame is of
    starts: npt.NDArray[np.int64]  # [frames + 1] of each frame's symbols
    raw_bits: FloatArray  # [frames] bits that no table codes
    rows: npt.NDArray[np.uint16]  # [symbols]
    symbols: npt.NDArray[np.uint8]  # [symbols]

    @property
    def entries(self) -> npt.NDArray[np.int64]:
        """Entry of all tables that each symbol stands for, [symbols]."""
        entries: npt.NDArray[np.int64] = ROW_ENTRY[self.rows] + self.symbols
        return entries

    def histograms(self) -> FloatArray:
        """Return how often each frame uses each entry of the tables, [frames, ENTRIES]."""
        frames = np.repeat(np.arange(len(self.kinds)), np.diff(self.starts))
        counts = np.bincount(frames * ENTRIES + self.entries, minlength=len(self.kinds) * ENTRIES)
        return counts.reshape(len(self.kinds), ENTRIES).astype(np.float32)

    def save(self, path: Path) -> None:
        """Write a .npz file."""
        np.savez_compressed(
            path,
            allow_pickle=False,
            clip=np.array(self.clip),
            layout=np.array(_layout()),
            kinds=self.kinds,
            streams=self.streams,
            starts=self.starts,
            raw_bits=self.raw_bits,
            rows=self.rows,
            symbols=self.symbols,
        )

    @classmethod
    def load(cls, path: Path) -> "Recording":
        """Read what `save` wrote; raises MediaError where its tables are not those of this version."""
        with np.load(path) as file:
            if file["layout"].tolist() != _layout():
                raise MediaError(f"{path}: recorded with other tables than those of this version: record again")
            names = ("kinds", "streams", "starts", "raw_bits", "rows", "symbols")
            return cls(str(file["clip"]), *(file[name] for name in names))


def _layout() -> list[str]:
    """Return names and shapes of all tables, to tell recordings of other versions."""
    return [f"{name} {spec.contexts} {spec.symbols}" for name, spec in TABLES.items()]


class RecordingEncoder(PlaneCoder):
    """Keeps the symbols of frames, as a listener of their decoder; `begin_frame` comes before each."""

    def __init__(self) -> None:
        """Start with nothing kept."""
        self._kinds: list[int] = []
        self._streams: list[int] = []
        self._runs: list[list[tuple[int, IntArray]]] = []
        self._raw_bits: list[float] = []

    def begin_frame(self, kind: str, stream: int = 0) -> None:
        """Begin a frame of one of KINDS of one of the clip's streams."""
        self._kinds.append(KINDS.index(kind))
        self._streams.append(stream)
        self._runs.append([])
        self._raw_bits.append(0.0)

    def _run(self, name: str, context: int, symbols: IntArray) -> IntArray:
        """Keep the symbols."""
        self._runs[-1].append((FIRST_ROW[name] + context, symbols.copy()))
        return symbols

    def _run_one(self, name: str, context: int, symbol: int) -> int:
        """Keep one symbol."""
        self._run(name, context, np.array([symbol], np.int32))
        return symbol

    def _uniform_run(self, label: str, size: int, symbols: IntArray) -> IntArray:
        """Count the bits of what no table codes."""
        self._raw_bits[-1] += float(np.log2(size)) * len(symbols)
        return symbols

    def recording(self, clip: str) -> Recording:
        """Return everything kept so far as streams of a clip."""
        runs = [run for frame in self._runs for run in frame]
        lengths = [sum(len(symbols) for _, symbols in frame) for frame in self._runs]
        return Recording(
            clip,
            np.array(self._kinds, np.uint8),
            np.array(self._streams, np.uint8),
            np.concatenate([[0], np.cumsum(np.array(lengths, np.int64))]),
            np.array(self._raw_bits, np.float32),
            np.repeat(np.array([row for row, _ in runs], np.uint16), [len(symbols) for _, symbols in runs]),
            _joined([symbols for _, symbols in runs]),
        )


def _joined(runs: Sequence[IntArray]) -> npt.NDArray[np.uint8]:
    """Return runs of symbols as one array."""
    return np.concatenate([np.zeros(0, np.int32), *runs]).astype(np.uint8)
