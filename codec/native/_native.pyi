"""
Native kernels of the codec. Arrays are C-contiguous; the GIL is released while a kernel runs.
"""

from collections.abc import Mapping, Sequence
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
        Draw splats rounded to these steps (5 of the mean, scale, shape, luma, chroma; natural units), or as they are. Adam's moments are forgotten.
        """

    def set_lead(self, flags: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], weight: float) -> None:
        """
        From now on the picture of the flagged splats alone counts too, weight times as much; set_splats() ends it.
        """

    def run_by_rows(self, iterations: int, rate: float) -> float:
        """
        As run(), each iteration by every second row of the picture: the even ones, the odd ones, and so on.
        """

    def gradients(self) -> tuple[float, Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')]]:
        """The loss and its gradients [N, 8] by x, y, a, b, c, Y, Cb, Cr."""

    def picture(self) -> Annotated[NDArray[numpy.float32], dict(shape=(None, None, None), order='C', device='cpu')]:
        """The splats drawn: float32 [3, H, W]."""

    def splats(self) -> Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')]:
        """The splats now, in the order they were given."""

    def step(self, rate: float) -> float:
        """One iteration; returns the loss before it."""

    def run(self, iterations: int, rate: float) -> float:
        """
        Iterations with a cosine schedule from rate to 0; returns the loss before the last.
        """

def place(target: Annotated[NDArray[numpy.float32], dict(shape=(None, None, None), order='C', device='cpu', writable=False)], importance: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, count: int, seed: int, threads: int) -> Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')]:
    """
    At most `count` splats to start a fit of the picture from: rows x, y px, log-scale, e1, e2, Y, Cb, Cr.
    """

def to_ycc(rgb: Annotated[NDArray[numpy.uint8], dict(shape=(None, None, 3), order='C', device='cpu', writable=False)], threads: int) -> Annotated[NDArray[numpy.float32], dict(shape=(None, None, None), order='C', device='cpu')]:
    """
    Y, Cb, Cr of a picture uint8 [H, W, 3] (BT.601, full range), float32 [3, H, W].
    """

class PEngine:
    """
    The P-frame closed loop (see engine_pframe.hpp). Not for two threads at once.
    """

    def __init__(self, width: int, height: int, slots: int, chroma_weight: float, steps: Sequence[int], costs: Mapping[str, Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)]], cell_rank: Sequence[int], threads: int, reserve: int = 0) -> None: ...

    def load(self, splats: Annotated[NDArray[numpy.int32], dict(shape=(None, None), order='C', device='cpu', writable=False)], vectors: Annotated[NDArray[numpy.int32], dict(shape=(None, None, None), order='C', device='cpu', writable=False)], samples: Annotated[NDArray[numpy.int32], dict(shape=(None, None, None), order='C', device='cpu', writable=False)], base: Annotated[NDArray[numpy.float32], dict(shape=(3, None, None), order='C', device='cpu', writable=False)]) -> None:
        """
        Takes a state over: splats [slots + reserve, 9], vectors [rows, columns, 2], base samples [3, bh, bw], base picture [3, H, W].
        """

    def set_target(self, rgb: Annotated[NDArray[numpy.uint8], dict(shape=(None, None, 3), order='C', device='cpu', writable=False)]) -> None:
        """Sets the frame to encode, uint8 [H, W, 3]."""

    def set_costs(self, costs: Mapping[str, Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)]]) -> None:
        """
        Sets the bits that decisions go by from now on: [contexts, symbols] of each table.
        """

    def squared_error(self) -> float:
        """Weighted squared error of the state against the target, 0..255 scale."""

    def encode(self, flows: Sequence[Annotated[NDArray[numpy.float32], dict(shape=(2, None, None), order='C', device='cpu', writable=False)]], lambda_map: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], lambda_: float, sweeps: int = 8, max_births: int = 12, density: int = 2, light: bool = True, affine: bool = True, cell_affine: bool = True, cell_shift: bool = True, screen: bool = False, quick: bool = False, units: int = 0, prices: Sequence[int] = [1, 1, 1], cut: int = -1, clock_s: float = 0.0, bits: float = 0.0) -> tuple[dict[str, object], dict[str, float]]:
        """
        Encodes the target; returns the commands and figures. The state inside moves on with them.
        """

    def model(self, slot: int) -> tuple[Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu')], Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')]]:
        """
        Gradient [8] and Gauss-Newton matrix [8, 8] of one live splat: px, log units, 1/255.
        """

    def trial(self, slot: int, after: Sequence[int] | None) -> float:
        """
        Change of squared error if a live splat became `after` (9 fields), or went (None).
        """

    def group_trial(self, slots: Sequence[int], dx: int, dy: int) -> float:
        """
        Change of squared error if some live splats moved by dx, dy, in 1/16 px, together.
        """

    def group_luma(self, slots: Sequence[int]) -> tuple[float, float]:
        """
        Gradient g and matrix m: adding d to the luma of these live splats' normalised ones changes the error by d (2 g + d m).
        """

    def match_blocks(self, lambda_: float, calm: Sequence[int]) -> list[Annotated[NDArray[numpy.int32], dict(shape=(None, None, None), order='C', device='cpu')]]:
        """
        Vectors that matching pixels finds, 1/4 px: what the cells of each level add, [rows, columns, 2] four times.
        """

    def color_model(self, slot: int) -> list[float]:
        """
        How each plane's squared error depends on a live splat's colour: matrix, then three gradients.
        """

    def propose_light(self, lambda_: float) -> list[int]:
        """
        Light that would be tried for the target at this lambda: gain, Y, Cb, Cr; all 0 for none.
        """

    def fit_affine(self, flow: Annotated[NDArray[numpy.float32], dict(shape=(2, None, None), order='C', device='cpu', writable=False)]) -> list[int]:
        """
        Global affine that most of a flow [2, H, W] px agrees with: a, b, c, d, tx, ty.
        """

    def samples(self) -> Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu')]:
        """The base's samples inside, flat [3 * bh * bw]."""

    def splats(self) -> Annotated[NDArray[numpy.int32], dict(shape=(None, None), order='C', device='cpu')]:
        """The state inside and the reserve after it, [slots + reserve, 9]."""

    def vectors(self) -> Annotated[NDArray[numpy.int32], dict(shape=(None, None, None), order='C', device='cpu')]:
        """The vectors inside, [rows, columns, 2]."""

    def luma(self) -> Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu')]:
        """Luma of the state inside, uint8 [H, W]."""

    def picture(self) -> Annotated[NDArray[numpy.float32], dict(shape=(None, None, None), order='C', device='cpu')]:
        """The picture of the state inside, YCbCr float32 [3, H, W]."""

class KeyEngine:
    """
    The key frame's closed loop (see engine_key.hpp). Not for two threads at once.
    """

    def __init__(self, width: int, height: int, chroma_weight: float, mean_steps: Sequence[int], steps: Sequence[int], costs: Mapping[str, Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)]], threads: int) -> None: ...

    def set_target(self, rgb: Annotated[NDArray[numpy.uint8], dict(shape=(None, None, 3), order='C', device='cpu', writable=False)]) -> None:
        """Sets the frame to encode, uint8 [H, W, 3]."""

    def load(self, splats: Annotated[NDArray[numpy.int32], dict(shape=(None, None), order='C', device='cpu', writable=False)], roles: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], samples: Annotated[NDArray[numpy.int32], dict(shape=(None, None, None), order='C', device='cpu', writable=False)], base: Annotated[NDArray[numpy.float32], dict(shape=(3, None, None), order='C', device='cpu', writable=False)], lead_weight: float = 0.0) -> None:
        """
        Takes splats [n, 9] (state values), roles [n] (0 free, 1 lead: both snapped to the key lattice; 2 known to decoders, 3 still to come: both fixed), base samples and base picture. lead_weight: of the error of the lead's picture alone.
        """

    def sweep(self, lambda_: float, lambda_map: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], changes: bool, deletes: bool) -> int:
        """
        One sweep that changes splats, deletes them, or both; returns how many changed or went.
        """

    def splats(self) -> Annotated[NDArray[numpy.int32], dict(shape=(None, None), order='C', device='cpu')]:
        """Free splats and leads that are left, [n, 9]: fields and role."""

    def bits(self) -> float:
        """Estimated bits of all splats."""

    def lead_errors(self, cell_px: int) -> Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu')]:
        """
        Squared error of the lead's picture alone in each square cell, flat; empty without a lead.
        """

    def squared_error(self) -> float:
        """Weighted squared error, 0..255 scale."""

    def picture(self) -> Annotated[NDArray[numpy.float32], dict(shape=(None, None, None), order='C', device='cpu')]:
        """The picture of the splats, YCbCr float32 [3, H, W]."""

class Reserve:
    """
    Splats of a PEngine that decoders do not have yet (see engine_reserve.hpp).
    """

    def __init__(self, engine: PEngine, mean_steps: Sequence[int], steps: Sequence[int], costs: Mapping[str, Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)]]) -> None: ...

    def follow(self, flow: Annotated[NDArray[numpy.float32], dict(shape=(2, None, None), order='C', device='cpu', writable=False)]) -> int:
        """
        Moves all of them along a flow to the target [2, H, W] px, where that brings the picture nearer to it; returns how many moved.
        """

    def sweep(self, slots: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], passes: int, lambda_: float, lambda_map: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)]) -> float:
        """
        Sweeps those in some slots like a key frame's splats, with deletion; returns the bits of what is left of them.
        """

    def move(self, slots: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], to: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> None:
        """Gives splats of the reserve dead slots of the state."""

class GsvcFit:
    """
    Adam on additive splats against one picture. Splats are float32 [N, 8]: x, y px, ln p, k, ln r, Y, Cb, Cr. Calls on one object must not overlap.
    """

    def __init__(self, target: Annotated[NDArray[numpy.float32], dict(shape=(None, None, None), order='C', device='cpu', writable=False)], channel_weights: Sequence[float], adam: Sequence[float], threads: int) -> None:
        """adam: steps of means, shapes and colours at rate 1, and two memories."""

    def set_splats(self, splats: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)]) -> None:
        """
        Start from these splats, with Adam's moments and the lattice forgotten.
        """

    def set_lattice(self, steps: Sequence[float] | None, anchors: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None) -> None:
        """
        Draw splats rounded to steps (mean, shape, luma, chroma; then bias and calm) from anchors [N, 8], or as they are. Adam's moments are forgotten.
        """

    def gradients(self) -> tuple[float, Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')]]:
        """The loss and its gradients [N, 8]."""

    def drawn(self) -> Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')]:
        """The splats as they are drawn, on the lattice."""

    def splats(self) -> Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')]:
        """The splats now, in the order they were given."""

    def step(self, rate: float) -> float:
        """One iteration; returns the loss before it."""

    def run(self, iterations: int, rate: float) -> float:
        """
        Iterations with a cosine schedule from rate to 0; returns the loss before the last.
        """

def gsvc_render(splats: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], width: int, height: int, threads: int) -> Annotated[NDArray[numpy.float32], dict(shape=(None, None, None), order='C', device='cpu')]:
    """
    Picture of additive splats [N, 8] on black: float32 [3, H, W], Y, Cb, Cr in 1/255, not clipped.
    """

def key_residuals(width: int, height: int, base: Annotated[NDArray[numpy.int32], dict(shape=(None, None, None), order='C', device='cpu', writable=False)], steps: Sequence[int], weights: Sequence[Sequence[int]], classes: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], tile_rows: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], splats: Annotated[NDArray[numpy.int32], dict(shape=(None, None), order='C', device='cpu', writable=False)], known: Annotated[NDArray[numpy.int32], dict(shape=(None, None), order='C', device='cpu', writable=False)]) -> Annotated[NDArray[numpy.int32], dict(shape=(None, None), order='C', device='cpu')]:
    """
    Residuals [n, 5] of e1, e2, Y, Cb, Cr of splats [n, 8] in coded order (SPEC 5).
    """

def key_values(width: int, height: int, base: Annotated[NDArray[numpy.int32], dict(shape=(None, None, None), order='C', device='cpu', writable=False)], steps: Sequence[int], weights: Sequence[Sequence[int]], classes: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], tile_rows: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], fields: Annotated[NDArray[numpy.int32], dict(shape=(None, None), order='C', device='cpu', writable=False)], residuals: Annotated[NDArray[numpy.int32], dict(shape=(None, None), order='C', device='cpu', writable=False)], known: Annotated[NDArray[numpy.int32], dict(shape=(None, None), order='C', device='cpu', writable=False)]) -> Annotated[NDArray[numpy.int32], dict(shape=(None, None), order='C', device='cpu')]:
    """
    Splats [n, 8], saturated, of fields [n, 3] x, y, s and residuals [n, 5], in coded order (SPEC 5).
    """
