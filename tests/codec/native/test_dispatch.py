"""Every instruction set this machine has gives the same picture and the same fit."""

import os
import subprocess
import sys

import numpy as np
import numpy.typing as npt
import pytest

from codec.native import _native

SCRIPT = """
import sys
import numpy as np
from codec.native import _native
rng = np.random.default_rng(1)
splats = np.zeros((60, 9), np.int32)
splats[:, :2] = rng.integers(0, 1000, (60, 2))
splats[:, 2] = rng.integers(20, 140, 60)
splats[:, 3:5] = rng.integers(-60, 60, (60, 2))
splats[:, 5:8] = rng.integers(0, 800, (60, 3))
splats[:, 8] = rng.integers(1, 3, 60)
base = np.full((3, 3, 4), 300, np.int32)
picture = _native.render(splats, base, 61, 47, 1.0, 0.0, 0.0, 61, 47, 2)
fit = _native.Fit(picture, np.full_like(picture, 70), None, (1, 1, 1), 2)
fit.set_splats(_native.place(picture, None, 80, 5, 2))
loss = fit.run(12, 1.0)
sys.stdout.buffer.write(picture.astype("<f4").tobytes() + np.array([loss], "<f4").tobytes())
"""


def run(isa: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run([sys.executable, "-c", SCRIPT], env={**os.environ, "SPLATCALL_ISA": isa}, capture_output=True)


def result(isa: str) -> npt.NDArray[np.float32]:
    done = run(isa)
    if b"does not have it" in done.stderr:
        pytest.skip(f"this processor has no {isa}")
    assert done.returncode == 0, done.stderr.decode()
    return np.frombuffer(done.stdout, "<f4")


@pytest.mark.parametrize("isa", ["avx2", "avx512"])
def test_wider_sets_agree_with_the_baseline(isa: str) -> None:
    baseline, wider = result("base"), result(isa)
    # rims may fall to either side in single pixels; measured elsewhere: below 1e-3
    assert np.quantile(np.abs(baseline[:-1] - wider[:-1]), 0.998) < 0.01
    assert wider[-1] == pytest.approx(baseline[-1], rel=0.02)


def test_an_unknown_set_is_refused() -> None:
    done = run("mmx")
    assert done.returncode != 0
    assert b"expected base, avx2 or avx512, got mmx" in done.stderr


def test_the_set_in_use_has_a_name() -> None:
    assert _native.isa() in {"base", "avx2", "avx512"}
