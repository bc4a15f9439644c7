"""`bench light`: the changes it puts on pictures, and a run of it all with our codec alone."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from codec.bench.light import CHANGES, exposure_ramp, sensor_noise, white_balance_drift
from codec.cli import main
from codec.media import Mp4Writer, RgbPicture

FPS = Fraction(10)


def flat(frames: int) -> list[RgbPicture]:
    """Return grey pictures [32, 48, 3]."""
    return [np.full((32, 48, 3), 100, np.uint8)] * frames


def test_exposure_goes_from_first_to_last_and_stays() -> None:
    ramp = exposure_ramp(flat(30), FPS, 0.8, 1.2)
    assert [int(picture[0, 0, 0]) for picture in ramp[::10]] == [80, 100, 120]
    assert int(ramp[-1].min()) == int(ramp[-1].max()) == 120


def test_white_balance_warms() -> None:
    drift = white_balance_drift(flat(21), FPS, 0.1)
    assert drift[0][0, 0].tolist() == [100, 100, 100]
    assert drift[-1][0, 0].tolist() == [110, 100, 90]


def test_noise_has_the_strength_that_is_asked_for() -> None:
    pictures = flat(4)
    noisy = sensor_noise(pictures, 30.0)
    error = np.mean([(a.astype(float) - b) ** 2 for a, b in zip(noisy, pictures, strict=True)])
    assert 10 * np.log10(255**2 / error) == pytest.approx(30, abs=0.1)
    assert not np.array_equal(noisy[0], noisy[1])


def test_a_run_writes_a_cost_for_every_change(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    picture = np.kron(rng.integers(40, 200, (4, 6, 3)), np.ones((16, 16, 1))).astype(np.uint8)
    clip = tmp_path / "still.mp4"
    writer = Mp4Writer(clip, FPS)
    for _ in range(6):
        writer.write(picture)
    writer.close()
    result = tmp_path / "light.json"
    arguments = ["bench", "light", "--clips", str(clip), "--json", str(result), "--alone", "--qualities", "10,60"]
    assert main([*arguments, "--frames", "6"]) == 0
    costs = json.loads(result.read_text())
    assert {cost["change"] for cost in costs} == {*CHANGES, "plain"}
    assert all(len(cost["points"]) == 2 for cost in costs)
