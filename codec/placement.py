"""Where the splats of a new picture start: density by importance and detail, then superpixels."""

import numpy as np

from codec.fit.backend import unpack_splats
from codec.native import _native
from codec.types import FloatArray, SplatSet

__all__ = ["place"]


def place(
    target: FloatArray,  # [3, H, W] Y, Cb, Cr in 1/255
    importance: FloatArray | None,  # [ceil(H/16), ceil(W/16)] 0 .. 1
    count: int,
    seed: int = 0,
    threads: int = 2,
) -> SplatSet:
    """Return at most `count` splats: superpixels' means, covariances and mean colours.

    Seeds are spread by the blurred gradient and the importance; fewer than `count` come out of a picture too small for
    them (at most one splat to four px). The same arguments give the same splats, whatever `threads`.
    Raises ValueError if shapes disagree, weights are not 0 to 1, or count is negative.
    """
    weights = None if importance is None else np.ascontiguousarray(importance, np.float32)
    if weights is not None and not np.all((weights >= 0) & (weights <= 1)):
        raise ValueError("importance: expected weights of 0 to 1")
    return unpack_splats(_native.place(np.ascontiguousarray(target, np.float32), weights, count, seed, threads))
