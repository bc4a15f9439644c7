"""Writes tables.json from recorded streams: `python -m codec.bitstream.train_tables RECORDING.npz...`.

Recordings are made by `python -m codec.bench.record`. Set 0 is trained on all frames, and is what patches use and what
suits no other set. The others are found by clustering: each frame goes to the set that codes it with the fewest bits,
each set is estimated from its frames again, until nothing changes (the generalised Lloyd algorithm, with code length
for distance). Key and P-frames share few tables, so each set is a cluster of the one and of the other, both in the
order of their frames' symbols.
A set's counts are smoothed with those of all frames, and these with parametric priors. Each stream weighs the same.

`--leave-one-out` writes nothing; it prints for each clip the bits of its frames by tables that were trained with it and
without it. `--priors` writes one set, of the priors alone.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from codec.bitstream.recording import KINDS, Recording
from codec.bitstream.table_priors import Probabilities, prior
from codec.bitstream.tables import (
    ENTRIES,
    PRECISION_BITS,
    ROW_ENTRY,
    TABLES,
    TABLES_PATH,
    TOTAL_COUNT,
    CountArray,
    entry_costs,
    flatten,
    unflatten,
)
from codec.prediction import KEY_WEIGHTS
from codec.types import FloatArray

__all__ = ["MAX_SETS", "Frames", "best_bits", "main", "normalise", "train", "write_tables"]

MAX_SETS: Final = 8  # a frame's header has 3 bits for the number
MIN_COUNT: Final = 16
PRIOR_SYMBOLS: Final = 24.0  # weight of the prior, in symbols a row, when all frames are pooled
POOL_SYMBOLS: Final = 150.0  # weight of the pooled row, in symbols, when a set is made
_RARE_COMMANDS: Final = slice(0, 3)  # contexts of "present": light, base, affine ...
_RARE_SHARE: Final = 1 / 64  # ... and the least share of frames to have each, whatever the recordings' light did
_ITERATIONS: Final = 30

_ROW_OF_ENTRY: Final = np.repeat(np.arange(len(ROW_ENTRY)), np.diff([*ROW_ENTRY.tolist(), ENTRIES]))


class Frames:
    """The frames of all recordings as histograms over the entries of all tables."""

    def __init__(self, recordings: Sequence[Recording]) -> None:
        """Count the symbols of recordings, one at least."""
        self.counts: FloatArray = np.concatenate([recording.histograms() for recording in recordings])  # [F, ENTRIES]
        self.raw_bits: FloatArray = np.concatenate([recording.raw_bits for recording in recordings])  # [F]
        self.kinds = np.concatenate([recording.kinds for recording in recordings])  # [F]
        self.names = sorted({recording.clip for recording in recordings})
        clips = [np.full(len(recording.kinds), self.names.index(recording.clip)) for recording in recordings]
        self.clips = np.concatenate(clips)  # [F] index into names: a clip may have several recordings
        streams = [256 * index + recording.streams.astype(np.int32) for index, recording in enumerate(recordings)]
        self.streams = np.concatenate(streams)  # [F]
        self.weights = self._weights()

    def of_kind(self, kind: str, chosen: npt.NDArray[np.bool_] | None = None) -> npt.NDArray[np.intp]:
        """Return the indices of frames of a kind, of those chosen [F] where that is given."""
        own = self.kinds == KINDS.index(kind)
        members: npt.NDArray[np.intp] = (own if chosen is None else own & chosen).nonzero()[0]
        return members

    def _weights(self) -> FloatArray:
        """Return weights [F] by which each stream has as many symbols as any other, kind by kind; 1 in the mean."""
        weights = np.ones(len(self.kinds), np.float32)
        symbols = self.counts.sum(axis=1)
        groups = self.streams * len(KINDS) + self.kinds
        for kind in range(len(KINDS)):
            own = {int(g): float(symbols[groups == g].sum()) for g in np.unique(groups[self.kinds == kind])}
            mean = sum(own.values()) / max(len(own), 1)
            for group, total in own.items():
                weights[groups == group] = mean / max(total, 1.0)
        return weights


def normalise(probabilities: Probabilities) -> CountArray:
    """Return counts [contexts, symbols] that sum to 2^24, none below 16; what rounding leaves goes to the largest."""
    symbols = probabilities.shape[1]
    scaled = probabilities * (TOTAL_COUNT - MIN_COUNT * symbols)
    counts: CountArray = np.floor(scaled).astype(np.int64) + MIN_COUNT
    rows = np.arange(len(counts))
    counts[rows, probabilities.argmax(axis=1)] += TOTAL_COUNT - counts.sum(axis=1)
    return counts


def _smooth(counts: Probabilities, towards: Probabilities, weight: float) -> Probabilities:
    """Return the mean of counted and expected shares [ENTRIES]; the expected ones weigh as `weight` symbols a row."""
    totals = np.add.reduceat(counts, ROW_ENTRY) + weight
    smoothed: Probabilities = (counts + weight * towards) / totals[_ROW_OF_ENTRY]
    return smoothed


def train(
    frames: Frames | None, sets: int = MAX_SETS, chosen: npt.NDArray[np.bool_] | None = None
) -> list[dict[str, CountArray]]:
    """Return so many table sets for the frames, or for those chosen [F]; without frames one of the priors alone."""
    priors = flatten({name: prior(name) for name in TABLES})
    if frames is None:
        return [_rounded(priors)]
    everything = [frames.of_kind(kind, chosen) for kind in KINDS]
    pool = _smooth(sum((_weighted(frames, own) for own in everything), np.zeros(ENTRIES)), priors, PRIOR_SYMBOLS)
    totals = np.zeros((sets - 1, ENTRIES))
    for kind in ("key", "p"):
        for number, members in enumerate(_clusters(frames, frames.of_kind(kind, chosen), pool, sets - 1)):
            totals[number] += _weighted(frames, members)
    return [_rounded(pool), *(_rounded(_smooth(total, pool, POOL_SYMBOLS)) for total in totals)]


def _clusters(
    frames: Frames, members: npt.NDArray[np.intp], pool: Probabilities, count: int
) -> list[npt.NDArray[np.intp]]:
    """Return `count` clusters of frames, the calmest first, without those that the pooled tables suit best."""
    used = frames.counts[members].any(axis=0)  # other entries cost nobody anything
    counts = frames.counts[members][:, used]
    labels = np.ones(len(members), np.int64)  # 0: the pool's
    for clusters in range(1, count + 1):
        if clusters > 1:
            _split(labels, counts.sum(axis=1), clusters)
        for _ in range(_ITERATIONS):
            tables = [pool] if clusters == count else []
            for label in range(1, clusters + 1):
                tables.append(_smooth(_weighted(frames, members[labels == label]), pool, POOL_SYMBOLS))
            bits = counts @ -np.log2(np.stack(tables)[:, used]).T.astype(np.float32)
            before, labels = labels, bits.argmin(axis=1) + (clusters < count)
            if (labels == before).all():
                break
    found = [members[labels == label] for label in range(1, count + 1)]
    return sorted(found, key=lambda own: float(frames.counts[own].sum()) / max(len(own), 1))


def _split(labels: npt.NDArray[np.int64], symbols: FloatArray, new: int) -> None:
    """Give the busier half of the cluster with the most symbols the new label."""
    totals = np.bincount(labels, symbols, minlength=new)
    own = (labels == totals.argmax()).nonzero()[0]
    busiest = own[np.argsort(symbols[own], kind="stable")[len(own) // 2 :]]
    labels[busiest] = new


def _weighted(frames: Frames, members: npt.NDArray[np.intp]) -> Probabilities:
    """Return the weighted counts of frames, [ENTRIES]."""
    total: Probabilities = (frames.weights[members] @ frames.counts[members]).astype(np.float64)
    return total


def _rounded(shares: Probabilities) -> dict[str, CountArray]:
    """Return shares [ENTRIES] as integer tables."""
    tables = unflatten(shares.copy())
    rare = tables["present"][_RARE_COMMANDS]
    rare[:, 1] = np.maximum(rare[:, 1], _RARE_SHARE)
    rare[:, 0] = 1 - rare[:, 1]
    return {name: normalise(table) for name, table in tables.items()}


def best_bits(frames: Frames, members: npt.NDArray[np.intp], costs: FloatArray) -> FloatArray:
    """Return the bits of frames by the set that suits each best, [members]; costs in bits [sets, ENTRIES].

    Patches take set 0, as the format has it.
    """
    bits = frames.counts[members] @ costs.T
    own: FloatArray = np.where(frames.kinds[members] == KINDS.index("patch"), bits[:, 0], bits.min(axis=1))
    return own + frames.raw_bits[members]


def set_costs(sets: Sequence[dict[str, CountArray]]) -> FloatArray:
    """Return the costs in bits of table sets, [sets, ENTRIES]."""
    return np.stack([PRECISION_BITS - np.log2(flatten(made)) for made in sets]).astype(np.float32)


def print_leave_one_out(recordings: Sequence[Recording], sets: int) -> None:
    """Print for each clip and kind of frames the bits by the shipped tables, by those of all clips and without it."""
    frames = Frames(recordings)
    of_all = set_costs(train(frames, sets))
    print(f"{'clip':<16}{'frames':<8}{'shipped':>10}{'all clips':>11}{'without it':>11}  loss")
    sums: dict[str, list[float]] = {kind: [0.0, 0.0] for kind in KINDS}
    for index, clip in enumerate(frames.names):
        without = set_costs(train(frames, sets, frames.clips != index))
        for kind in KINDS:
            members = frames.of_kind(kind, frames.clips == index)
            tables = (entry_costs(), of_all, without)
            shipped, own, foreign = (float(best_bits(frames, members, costs).sum()) for costs in tables)
            if not own:
                continue
            sums[kind][0] += 1
            sums[kind][1] += foreign / own - 1
            line = f"{shipped:>10.0f}{own:>11.0f}{foreign:>11.0f} {100 * foreign / own - 100:>+5.1f}%"
            print(f"{clip:<16}{kind:<8}{line}")
    for kind, (clips, loss) in sums.items():
        if clips:
            print(f"{'mean':<16}{kind:<8}{'':>32} {100 * loss / clips:>+5.1f}%")


def write_tables(path: Path, sets: Sequence[dict[str, CountArray]]) -> None:
    """Write table sets as JSON, one context a line."""
    lines = []
    for number, made in enumerate(sets):
        tables = []
        for name, counts in made.items():
            rows = ",\n".join(json.dumps(row, separators=(",", ":")) for row in counts.tolist())
            tables.append(f'"{name}":{{"range":{json.dumps(TABLES[name].limit)},"counts":[\n{rows}]}}')
        lines.append("{" + ",\n".join(tables) + "}" + ("," if number + 1 < len(sets) else ""))
    head = f'{{"version":1,"precision":{PRECISION_BITS},"key_weights":{json.dumps(KEY_WEIGHTS)},"sets":[\n'
    path.write_text(head + "\n".join(lines) + "\n]}\n", encoding="ascii")


def main(arguments: Sequence[str]) -> None:
    """Train table sets on recordings and write them, or print how much they depend on each clip."""
    parser = argparse.ArgumentParser(prog="python -m codec.bitstream.train_tables", description=__doc__)
    parser.add_argument("recordings", type=Path, nargs="*", metavar="RECORDING.npz", help="of several clips")
    parser.add_argument("--sets", type=int, default=MAX_SETS, choices=range(2, MAX_SETS + 1), metavar="N")
    parser.add_argument("--out", type=Path, default=TABLES_PATH, help="default: the shipped tables.json")
    parser.add_argument("--leave-one-out", action="store_true")
    parser.add_argument("--priors", action="store_true")
    options = parser.parse_args(arguments)
    if bool(options.recordings) == options.priors:
        parser.error("expected recordings or --priors")
    recordings = [Recording.load(path) for path in options.recordings]
    if options.leave_one_out:
        print_leave_one_out(recordings, options.sets)
    else:
        write_tables(options.out, train(Frames(recordings) if recordings else None, options.sets))


if __name__ == "__main__":
    main(sys.argv[1:])
