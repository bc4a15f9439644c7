"""
Native kernels of the codec. Arrays are C-contiguous; the GIL is released while a kernel runs.
"""

from collections.abc import Sequence
from typing import Annotated

import numpy
from numpy.typing import NDArray


def isa() -> str:
    """
    The instruction set in use: base, avx2 or avx512 (SPLATCALL_ISA forces one).
    """

def render(splats: Annotated[NDArray[numpy.int32], dict(shape=(None, None), order='C', device='cpu', writable=False)], base: Annotated[NDArray[numpy.int32], dict(shape=(None, None, None), order='C', device='cpu', writable=False)], width: int, height: int, scale: float, left: float, top: float, out_width: int, out_height: int, threads: int) -> Annotated[NDArray[numpy.float32], dict(shape=(None, None, None), order='C', device='cpu')]:
    """
    Picture of a state: float32 [3, out_height, out_width], Y, Cb, Cr in 1/255, not clipped (SPEC 1.1).
    """

def to_rgb(planes: Annotated[NDArray[numpy.float32], dict(shape=(None, None, None), order='C', device='cpu', writable=False)], threads: int) -> Annotated[NDArray[numpy.uint8], dict(shape=(None, None, None), order='C', device='cpu')]:
    """uint8 RGB [H, W, 3] of float32 Y, Cb, Cr [3, H, W]."""

class Fit:
    """
    Adam on normalised splats against one picture. Splats are float32 [N, 8]: x, y px, log-scale, e1, e2, Y, Cb, Cr in natural units. Calls on one object must not overlap.
    """

    def __init__(self, target: Annotated[NDArray[numpy.float32], dict(shape=(None, None, None), order='C', device='cpu', writable=False)], base: Annotated[NDArray[numpy.float32], dict(shape=(None, None, None), order='C', device='cpu', writable=False)], weight: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, channel_weights: Sequence[float], threads: int) -> None: ...

    def set_splats(self, splats: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)]) -> None:
        """Start from these splats, with Adam's moments forgotten."""

    def set_lattice(self, steps: Sequence[float] | None) -> None:
        """
        Draw splats rounded to these steps (5 of the mean, scale, shape, luma, chroma; natural units), or as they are.
        """

    def step(self, rate: float) -> float:
        """One iteration; returns the loss before it."""

    def run(self, iterations: int, rate: float) -> float:
        """
        Iterations with a cosine schedule from rate to 0; returns the loss before the last.
        """

    def gradient(self) -> float:
        """The loss; gradients() then gives its gradients."""

    def gradients(self) -> Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')]:
        """Gradients [N, 8] of the last pass by x, y, a, b, c, Y, Cb, Cr."""

    def splats(self) -> Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')]:
        """The splats now, in the order they were given."""

    def picture(self) -> Annotated[NDArray[numpy.float32], dict(shape=(None, None, None), order='C', device='cpu')]:
        """The splats drawn: float32 [3, H, W]."""
