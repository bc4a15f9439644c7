"""The integer tables of the entropy coder: their list, their file, their costs (SPEC section 4)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from codec.types import FloatArray

__all__ = [
    "ENTRIES",
    "FIRST_ROW",
    "PRECISION_BITS",
    "ROW_ENTRY",
    "TABLES",
    "TABLES_PATH",
    "TOTAL_COUNT",
    "WIDE_NAMES",
    "CountArray",
    "TableSpec",
    "check_counts",
    "cost_tables",
    "entry_costs",
    "flatten",
    "table_set",
    "table_set_count",
    "unflatten",
]

CountArray = npt.NDArray[np.int64]
Number = TypeVar("Number", bound=np.number[Any])

PRECISION_BITS: Final = 24
TOTAL_COUNT: Final = 1 << PRECISION_BITS
TABLES_PATH: Final = Path(__file__).with_name("tables.json")
TABLES_VERSION: Final = 1

WIDE_NAMES: Final = (
    "escape",
    "counts",
    "indices",
    "patch_gap",
    "patch_x",
    "patch_y",
    "patch_s",
    "patch_e1",
    "patch_e2",
    "patch_luma",
    "patch_cb",
    "patch_cr",
    "patch_base",
    "patch_vectors",
    "births",
)


@dataclass(frozen=True)
class TableSpec:
    """Shape of one table: its contexts and its symbols; `limit` is R of an int table, else None."""

    contexts: int
    symbols: int
    limit: int | None = None


def _ints(contexts: int, limit: int) -> TableSpec:
    """Return the shape of an int table: values -R..R and the escape."""
    return TableSpec(contexts, 2 * limit + 2, limit)


TABLES: Final[dict[str, TableSpec]] = {
    "wide": TableSpec(len(WIDE_NAMES), PRECISION_BITS + 1),
    "key_base": _ints(2, 12),
    "key_count": TableSpec(120, 11),
    "key_scale": _ints(5, 14),
    "key_e": _ints(20, 16),
    "key_luma": _ints(5, 20),
    "key_chroma": _ints(12, 12),
    "present": TableSpec(8, 2),
    "light": _ints(4, 8),
    "base_delta": _ints(2, 6),
    "affine": _ints(6, 15),
    "affine_shape": TableSpec(1, 2),
    "cell_on": TableSpec(16, 2),
    "cell_any": TableSpec(12, 2),
    "cell_vector": _ints(12, 15),
    "cell_affine_on": TableSpec(3, 2),
    "cell_affine": _ints(4, 8),
    "shift_on": TableSpec(4, 2),
    "shift_pattern": TableSpec(2, 8),
    "shift": _ints(4, 8),
    "density": TableSpec(1, 4),
    "block_on": TableSpec(16, 2),
    "slot_on": TableSpec(24, 2),
    "pattern": TableSpec(4, 16),
    "mean": _ints(3, 12),
    "shape": _ints(5, 6),
    "luma": _ints(1, 8),
    "chroma": _ints(3, 6),
    "birth_kind": TableSpec(1, 2),
    "birth_block": _ints(1, 8),
    "birth_size": TableSpec(2, 8),
    "birth_luma": _ints(2, 12),
    "birth_chroma": _ints(4, 8),
}

# All tables as one list of rows (a context of a table each), and all rows as one list of entries (a symbol each).
_ROWS: Final = [(name, context) for name, spec in TABLES.items() for context in range(spec.contexts)]
FIRST_ROW: Final = {name: row for row, (name, context) in enumerate(_ROWS) if context == 0}
_ROW_ENDS: Final = np.cumsum([TABLES[name].symbols for name, _ in _ROWS])
ENTRIES: Final = int(_ROW_ENDS[-1])
ROW_ENTRY: Final[npt.NDArray[np.int64]] = np.concatenate([[0], _ROW_ENDS[:-1]])  # [rows] entry of a row's symbol 0


@cache
def _load_sets() -> tuple[dict[str, CountArray], ...]:
    """Read tables.json; raises ValueError when it does not fit the list above."""
    raw = json.loads(TABLES_PATH.read_text(encoding="ascii"))
    if raw["version"] != TABLES_VERSION or raw["precision"] != PRECISION_BITS:
        raise ValueError(f"tables.json: expected version {TABLES_VERSION}, precision {PRECISION_BITS}")
    sets = []
    for raw_set in raw["sets"]:
        counts = {name: np.array(raw_set[name]["counts"], np.int64) for name in TABLES}
        for name, spec in TABLES.items():
            if raw_set[name]["range"] != spec.limit:
                raise ValueError(f"tables.json: {name} has range {raw_set[name]['range']}, expected {spec.limit}")
            check_counts(name, counts[name])
        sets.append(counts)
    return tuple(sets)


def check_counts(name: str, counts: CountArray) -> None:
    """Raise ValueError unless counts [contexts, symbols] are positive, of the table's shape and sum to 2^24."""
    spec = TABLES[name]
    if counts.shape != (spec.contexts, spec.symbols):
        raise ValueError(f"table {name}: expected shape {(spec.contexts, spec.symbols)}, got {counts.shape}")
    if counts.min() < 1 or (counts.sum(axis=1) != TOTAL_COUNT).any():
        raise ValueError(f"table {name}: counts must be positive and sum to {TOTAL_COUNT}")


def table_set_count() -> int:
    """Return how many table sets are shipped."""
    return len(_load_sets())


def table_set(number: int) -> dict[str, CountArray]:
    """Return the counts [contexts, symbols] of each table of a set; raises IndexError beyond those shipped."""
    return _load_sets()[number]


@cache
def cost_tables(number: int) -> dict[str, FloatArray]:
    """Return the cost in bits of each symbol [contexts, symbols] of each table of a set."""
    return {
        name: (PRECISION_BITS - np.log2(counts.astype(np.float64))).astype(np.float32)
        for name, counts in table_set(number).items()
    }


@cache
def entry_costs() -> FloatArray:
    """Return the cost in bits of every entry by every set, float32 [sets, ENTRIES]."""
    return np.stack([flatten(cost_tables(number)) for number in range(table_set_count())])


def flatten(tables: Mapping[str, npt.NDArray[Number]]) -> npt.NDArray[Number]:
    """Return what is given for each table [contexts, symbols] as one array [ENTRIES]."""
    return np.concatenate([tables[name].reshape(-1) for name in TABLES])


def unflatten(entries: npt.NDArray[Number]) -> dict[str, npt.NDArray[Number]]:
    """Return an array [ENTRIES] as arrays [contexts, symbols] by table."""
    tables, start = {}, 0
    for name, spec in TABLES.items():
        end = start + spec.contexts * spec.symbols
        tables[name] = entries[start:end].reshape(spec.contexts, spec.symbols)
        start = end
    return tables
