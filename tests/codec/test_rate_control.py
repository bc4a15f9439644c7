"""Quality to lambda and the bitrate control on a simple model of a coder."""

import numpy as np
import pytest

from codec.rate_control import BitrateControl, lambda_of_quality, rhythm_factor


def test_lambda_falls_with_quality() -> None:
    keys = [lambda_of_quality(q).key for q in range(0, 101, 10)]
    assert keys == sorted(keys, reverse=True)
    assert lambda_of_quality(61.5).key == pytest.approx(lambda_of_quality(50).key / 2)


def test_rhythm_is_for_calm_scenes_and_gains_one_frame_in_four() -> None:
    assert {rhythm_factor(i, calm=False) for i in range(20)} == {1.0}
    factors = [rhythm_factor(i, calm=True) for i in range(16)]
    assert [i for i, factor in enumerate(factors) if factor < 1] == [0, 4, 8, 12]


@pytest.mark.parametrize("kbps", [30.0, 100.0, 400.0])
@pytest.mark.parametrize("difficulty", [0.4, 1.0, 3.0])
def test_control_settles_at_the_bitrate(kbps: float, difficulty: float) -> None:
    """A coder whose bits double every 12 points: within 10% of the target once the key frame is paid back."""
    control = BitrateControl(kbps, 30.0, 640, 360)
    rng = np.random.default_rng(1)
    control.add_frame(60_000, key=True)
    bits = []
    for _ in range(400):
        size = difficulty * 2000 * 2.0 ** ((control.quality - 50) / 12) * rng.uniform(0.7, 1.3)
        control.add_frame(size, key=False)
        bits.append(size)
    assert 0 <= control.quality <= 100
    ceiling_kbps = difficulty * 2000 * 2.0 ** ((90 - 50) / 12) * 30 / 1000  # the control stops at quality 90
    assert np.mean(bits[200:]) * 30 / 1000 == pytest.approx(min(kbps, ceiling_kbps), rel=0.1)


def test_a_key_frame_is_paid_back() -> None:
    control = BitrateControl(100.0, 30.0, 640, 360)
    before = control.quality
    control.add_frame(300_000, key=True)
    for _ in range(15):
        control.add_frame(100_000 / 30, key=False)
    assert control.quality < before
