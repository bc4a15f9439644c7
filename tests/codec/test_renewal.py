"""How a scene is judged by what its P-frames renew."""

import pytest

from codec.renewal import Renewal

SPLATS = 1000


def after(bits: float, frames: int = 60) -> Renewal:
    """Return what is known after frames of so many bits each."""
    renewal = Renewal()
    for _ in range(frames):
        renewal.note(bits, SPLATS)
    return renewal


def test_a_webcam_is_calm_and_a_moving_head_is_not() -> None:
    calm, moving = after(0.02 * 28 * SPLATS), after(0.1 * 28 * SPLATS)
    assert (calm.moving, moving.moving) == (0.0, 1.0)
    assert calm.lambda_factor > 1 > moving.lambda_factor


def test_what_lies_between_lies_between() -> None:
    levels = [after(share * 28 * SPLATS) for share in (0.03, 0.04, 0.05, 0.06, 0.07)]
    factors = [renewal.lambda_factor for renewal in levels]
    assert factors == sorted(factors, reverse=True)
    assert len(set(factors)) == len(factors)


def test_one_frame_alone_changes_little() -> None:
    renewal = after(0.01 * 28 * SPLATS)
    renewal.note(0.3 * 28 * SPLATS, SPLATS)
    assert renewal.moving < 0.2


def test_a_state_without_splats_is_a_state_of_one() -> None:
    renewal = Renewal()
    renewal.note(0.0, 0)
    assert renewal.moving == pytest.approx(after(0.0, 1).moving)
