"""The shipped tables, their costs and their training."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from codec.bitstream import train_tables
from codec.bitstream.entropy import RecordingEncoder
from codec.bitstream.tables import (
    TABLES,
    TABLES_PATH,
    TOTAL_COUNT,
    check_counts,
    cost_tables,
    table_set,
    table_set_count,
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


def test_training_makes_what_was_recorded_cheaper(tmp_path: Path) -> None:
    recorder = RecordingEncoder()
    symbols = np.array([3] * 900 + [12] * 100, np.int32)
    recorder.table("pattern", 2, symbols)
    recorder.save(tmp_path / "a.npz")
    recording = train_tables._load_recording(f"{tmp_path / 'a.npz'},{tmp_path / 'a.npz'}")
    assert recording["pattern"][2, 3] == 1800
    trained, other = train_tables.train([recording, {}])
    for made in (trained, other):
        for name, counts in made.items():
            check_counts(name, counts)
            assert counts.min() >= train_tables.MIN_COUNT
    assert trained["pattern"][2, 3] / TOTAL_COUNT > 0.8
    assert other["pattern"][2, 3] > train_tables.train([{}])[0]["pattern"][2, 3], "a set learns from all recordings"


def test_written_tables_are_read_back(tmp_path: Path) -> None:
    made = train_tables.train([{}, {}])
    train_tables.write_tables(tmp_path / "tables.json", made)
    raw = json.loads((tmp_path / "tables.json").read_text())
    assert len(raw["sets"]) == 2
    assert raw["sets"][1]["wide"]["counts"] == made[1]["wide"].tolist()
    assert raw["sets"][0]["mean"]["range"] == 12
    assert raw["key_weights"] == [list(row) for row in KEY_WEIGHTS]
