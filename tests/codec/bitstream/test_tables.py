"""The shipped tables and their costs."""

import json
import math

import numpy as np
import pytest

from codec.bitstream.tables import (
    ENTRIES,
    FIRST_ROW,
    ROW_ENTRY,
    TABLES,
    TABLES_PATH,
    TOTAL_COUNT,
    check_counts,
    cost_tables,
    entry_costs,
    flatten,
    table_set,
    table_set_count,
    unflatten,
)
from codec.prediction import KEY_WEIGHTS


def test_every_shipped_set_is_whole() -> None:
    assert 1 <= table_set_count() <= 8
    for number in range(table_set_count()):
        assert set(table_set(number)) == set(TABLES)
        for name, counts in table_set(number).items():
            check_counts(name, counts)
            assert np.allclose(2.0 ** -cost_tables(number)[name].astype(np.float64), counts / TOTAL_COUNT, rtol=1e-4)


def test_key_weights_follow_their_formula() -> None:
    for k, (weights, radius) in enumerate(zip(KEY_WEIGHTS, (1, 1, 2, 3, 5), strict=True)):
        sigma = 1.5 * 1.5 * 2**k + 4
        assert len(weights) == 2 * radius**2 + 1
        for q, weight in enumerate(weights):
            assert abs(weight - 2 ** (8 - k) * math.exp(-32 * q / sigma**2)) <= 0.5


def test_key_weights_in_the_file_are_those_python_uses() -> None:
    raw = json.loads(TABLES_PATH.read_text())
    assert raw["key_weights"] == [list(row) for row in KEY_WEIGHTS]


def test_wrong_counts_are_refused() -> None:
    counts = table_set(0)["density"].copy()
    counts[0, 0] += 1
    with pytest.raises(ValueError, match="sum to"):
        check_counts("density", counts)
    with pytest.raises(ValueError, match="shape"):
        check_counts("density", counts[:, :2])


def test_entries_are_all_symbols_of_all_tables_in_order() -> None:
    entries = np.arange(ENTRIES)
    tables = unflatten(entries)
    assert (flatten(tables) == entries).all()
    for name, spec in TABLES.items():
        assert tables[name].shape == (spec.contexts, spec.symbols)
        first = FIRST_ROW[name]
        assert ROW_ENTRY[first : first + spec.contexts].tolist() == tables[name][:, 0].tolist()
    for number in range(table_set_count()):
        assert (unflatten(entry_costs()[number])["pattern"] == cost_tables(number)["pattern"]).all()
