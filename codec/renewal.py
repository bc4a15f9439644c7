"""How much of a picture each P-frame renews, and what that says of the lambda of P-frames."""

__all__ = ["Renewal"]

_SPLAT_BITS = 28.0  # of a splat that a key frame sends, about
_START = 0.045  # share that is assumed after a key frame
_FOLLOW = 0.1  # weight of a frame in it
_CALM, _MOVING = 0.035, 0.065  # shares up to which a scene is calm, and from which it moves
_CALM_FACTOR, _MOVING_FACTOR = 1.28, 0.8  # on the lambda of P-frames


class Renewal:
    """Follows the share of the state's bits that P-frames renew.

    It is 1 to 3% on webcams, 8 to 15% where a head or the camera moves, and hardly depends on quality. What is renewed
    soon is worth less: where little is, the key frame lasts, and P-frames had better change less at the same total;
    where much is, they are the picture.
    """

    def __init__(self) -> None:
        """Start as after a key frame."""
        self._share = _START

    def note(self, bits: float, splats: int) -> None:
        """Take note of a P-frame of so many bits, a growing picture's new splats left out, and the splats after it."""
        self._share += _FOLLOW * (bits / (_SPLAT_BITS * max(splats, 1)) - self._share)

    @property
    def moving(self) -> float:
        """How much a scene moves, 0..1."""
        return min(max((self._share - _CALM) / (_MOVING - _CALM), 0.0), 1.0)

    @property
    def lambda_factor(self) -> float:
        """The factor on the lambda of P-frames."""
        return float(_CALM_FACTOR ** (1 - self.moving) * _MOVING_FACTOR**self.moving)
