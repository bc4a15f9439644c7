"""What static tables cost against counters that adapt from frame to frame.

`python -m codec.bench.contexts RECORDING.npz... [--sets N] [--json F]`, with recordings (`codec.bench.record`) of two
or more clips. Static: tables trained without the clip, the cheapest set for each frame. Adaptive: the same
contexts, each with a counter that starts at the set for all frames and learns every symbol of its stream in coded
order; this is what the parse rule forbids, as a lost frame would make all later ones unreadable.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import log2
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from codec.bitstream.recording import KINDS, Recording
from codec.bitstream.tables import ENTRIES, FIRST_ROW, ROW_ENTRY, TABLES
from codec.bitstream.train_tables import MAX_SETS, Frames, set_costs, train
from codec.types import FloatArray

__all__ = ["ContextFigures", "adaptive_bits", "compare_contexts", "main"]

START_WEIGHT: Final = 16.0  # symbols that the static table counts for when a stream begins
MEMORY: Final = 600.0  # symbols of a context after which all counts are halved
_ROW_ENDS: Final = [*ROW_ENTRY[1:].tolist(), ENTRIES]


@dataclass(frozen=True)
class ContextFigures:
    """Bits of one kind of frames of one clip, all its streams together; bits outside of tables included in both."""

    clip: str
    kind: str
    static_bits: float
    adaptive_bits: float
    elements: dict[str, tuple[float, float]]  # static and adaptive bits by table

    @property
    def excess(self) -> float:
        """Share by which static tables take more."""
        return self.static_bits / self.adaptive_bits - 1


def adaptive_bits(
    symbols: npt.NDArray[np.uint8], start_bits: FloatArray, start_weight: float = START_WEIGHT, memory: float = MEMORY
) -> float:
    """Return what symbols [n] of one context cost by a counter that learns them one after another.

    start_bits: costs [symbols of the table] that the counter starts from, weighing as `start_weight` symbols; it halves
    all its counts when it has seen `memory` symbols.
    """
    counts = (start_weight * np.exp2(-start_bits.astype(np.float64))).tolist()
    total, bits = sum(counts), 0.0
    for symbol in symbols.tolist():
        bits += log2(total / counts[symbol])
        counts[symbol] += 1.0
        total += 1.0
        if total > memory:
            counts = [0.5 * count for count in counts]
            total *= 0.5
    return bits


def compare_contexts(recordings: Sequence[Recording], sets: int = MAX_SETS) -> list[ContextFigures]:
    """Compare for each clip, with tables trained on the others; recordings of two clips at least."""
    frames = Frames(recordings)
    figures = []
    for index, clip in enumerate(frames.names):
        costs = set_costs(train(frames, sets, frames.clips != index))
        for kind in ("key", "p"):
            members = frames.of_kind(kind, frames.clips == index)
            if not len(members):
                continue
            counts = frames.counts[members]
            chosen = costs[(counts @ costs.T).argmin(axis=1)]
            static = np.add.reduceat((counts * chosen).sum(axis=0, dtype=np.float64), ROW_ENTRY)
            own = [_adaptive_rows(recording, kind, costs[0]) for recording in recordings if recording.clip == clip]
            adaptive = np.sum(own, axis=0)
            raw = float(frames.raw_bits[members].sum())
            elements = {
                name: (float(static[rows].sum()), float(adaptive[rows].sum()))
                for name, rows in _rows_by_table().items()
                if static[rows].any()
            }
            figures.append(ContextFigures(clip, kind, float(static.sum()) + raw, float(adaptive.sum()) + raw, elements))
    return figures


def _rows_by_table() -> dict[str, slice]:
    """Return the rows of each table."""
    return {name: slice(FIRST_ROW[name], FIRST_ROW[name] + spec.contexts) for name, spec in TABLES.items()}


def _adaptive_rows(recording: Recording, kind: str, start: FloatArray) -> npt.NDArray[np.float64]:
    """Return the adaptive bits of each row for one kind of frames, [rows]; streams are apart, counters start anew."""
    lengths = np.diff(recording.starts)
    bits = np.zeros(len(ROW_ENTRY))
    for stream in np.unique(recording.streams):
        own = np.repeat((recording.streams == stream) & (recording.kinds == KINDS.index(kind)), lengths)
        rows, symbols = recording.rows[own], recording.symbols[own]
        order = np.argsort(rows, kind="stable")
        rows, symbols = rows[order], symbols[order]
        used, firsts = np.unique(rows, return_index=True)
        for row, run in zip(used.tolist(), np.split(symbols, firsts[1:]), strict=True):
            bits[row] += adaptive_bits(run, start[ROW_ENTRY[row] : _ROW_ENDS[row]])
    return bits


def main(arguments: Sequence[str]) -> None:
    """Compare, print and write the figures."""
    parser = argparse.ArgumentParser(prog="python -m codec.bench.contexts", description=__doc__)
    parser.add_argument("recordings", type=Path, nargs="+", metavar="RECORDING.npz")
    parser.add_argument("--sets", type=int, default=MAX_SETS, metavar="N")
    parser.add_argument("--json", type=Path, metavar="F")
    options = parser.parse_args(arguments)
    recordings = [Recording.load(path) for path in options.recordings]
    if len({recording.clip for recording in recordings}) < 2:
        parser.error("expected recordings of two clips at least: tables are trained without the clip they are tried on")
    figures = compare_contexts(recordings, options.sets)
    for own in figures:
        print(
            f"{own.clip:<16}{own.kind:<5}{own.static_bits:>10.0f}{own.adaptive_bits:>10.0f} {100 * own.excess:>+6.1f}%"
        )
        losses = {name: static - adaptive for name, (static, adaptive) in own.elements.items()}
        largest = sorted(losses, key=lambda name: -abs(losses[name]))[:5]
        print("    " + ", ".join(f"{name} {100 * losses[name] / own.adaptive_bits:+.1f}%" for name in largest))
    for kind in ("key", "p"):
        shares = [own.excess for own in figures if own.kind == kind]
        if shares:
            print(f"{'mean':<16}{kind:<5}{'':>20} {100 * sum(shares) / len(shares):>+6.1f}%")
    if options.json is not None:
        options.json.write_text(json.dumps([{**asdict(own), "excess": own.excess} for own in figures], indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
