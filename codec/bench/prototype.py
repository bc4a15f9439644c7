"""The throw-away prototype's kernels, compiled on the spot: the speed that the clean ones are held against."""

import ctypes
import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt

from codec.errors import CodecError
from codec.fit.backend import pack_splats
from codec.fit.reference import whitening_of
from codec.types import FloatArray, SplatSet

__all__ = ["KERNELS_NAME", "Prototype", "PrototypeError", "compile_source", "prototype_rows", "require_source"]

KERNELS_NAME = "splatn.cpp"

_COMPILE = ("g++", "-O3", "-march=native", "-ffast-math", "-fopenmp", "-fPIC", "-c")
_LINK = ("g++", "-fopenmp", "-shared")  # without -ffast-math, which would switch denormals off for the whole process
_CUT_SIGMA = 3.0
_EPSILON = 0.05
_RATES = np.array([0.3, 0.3, 0.02, 0.02, 0.02, 0.01, 0.01, 0.01], np.float32)


class PrototypeError(CodecError):
    """The prototype cannot be compiled or loaded."""


def prototype_rows(splats: SplatSet) -> FloatArray:
    """Return splats as the prototype has them, float32 [N, 8]: x, y, the whitening a, b, c, and colour 0..255."""
    rows = pack_splats(splats)
    shapes = whitening_of(rows[:, 2:5].astype(np.float64))
    return np.ascontiguousarray(np.concatenate([rows[:, :2], shapes, rows[:, 5:]], axis=1), np.float32)


class Prototype:
    """Forward, backward and one whole Adam iteration as the prototype ran them, on one picture."""

    def __init__(self, source: Path, build: Path, splats: SplatSet, base: FloatArray, target: FloatArray) -> None:
        """Compile `source`/splatn.cpp into `build`; base and target are float32 [3, H, W] of 0..255.

        Raises PrototypeError when it cannot be compiled.
        """
        self._kernels = compile_source(source, KERNELS_NAME, build)
        self._openmp = ctypes.CDLL("libgomp.so.1")
        self._parameters = prototype_rows(splats)
        self._parameters[:, 5:] /= 255
        self._base, self._target = base / np.float32(255), target / np.float32(255)
        self._height, self._width = target.shape[1:]
        self._sums = np.empty((4, self._height, self._width), np.float32)
        self._gradient = np.empty_like(self._parameters)
        self._moments = np.zeros_like(self._parameters), np.zeros_like(self._parameters)
        self._error: FloatArray = np.zeros_like(self._sums)

    def set_threads(self, threads: int) -> None:
        """Set how many threads the kernels use."""
        self._openmp.omp_set_num_threads(threads)

    def run_kernels(self) -> None:
        """Run forward and backward alone, without residual, normalisation and Adam."""
        self._forward()
        self._backward()

    def run_iteration(self) -> None:
        """Run one iteration: forward, residual and normalisation in NumPy, backward, Adam in NumPy."""
        self._forward()
        weight = self._sums[3] + _EPSILON
        picture = (self._sums[:3] + _EPSILON * self._base) / weight
        error = (picture - self._target) / weight
        self._error = np.concatenate([error, (error * picture).sum(0, keepdims=True)]).astype(np.float32)
        self._backward()
        first, second = self._moments
        gradient = self._gradient
        self._moments = 0.9 * first + 0.1 * gradient, 0.99 * second + 0.01 * gradient * gradient
        step = _RATES * self._moments[0] / (np.sqrt(self._moments[1]) + 1e-12)
        # a small rate keeps the splats, and with them the work, as they are
        self._parameters = (self._parameters - 1e-3 * step).astype(np.float32)

    def _forward(self) -> None:
        self._kernels.forward(
            _pointer(self._parameters),
            len(self._parameters),
            _pointer(self._sums),
            self._width,
            self._height,
            ctypes.c_float(_CUT_SIGMA),
            1,
            None,
        )

    def _backward(self) -> None:
        self._kernels.backward_norm(
            _pointer(self._parameters),
            len(self._parameters),
            _pointer(self._error),
            self._width,
            self._height,
            ctypes.c_float(_CUT_SIGMA),
            _pointer(self._gradient),
            None,
        )


def require_source(folder: Path, name: str) -> Path:
    """Return a source in the prototype's folder; raises PrototypeError where it is not there."""
    program = folder / name
    if not program.is_file():
        raise PrototypeError(f"{folder}: expected the prototype's folder with {name} in it")
    return program


def compile_source(folder: Path, name: str, build: Path) -> ctypes.CDLL:
    """Compile a source of the prototype's folder into `build`; raises PrototypeError when it cannot be compiled."""
    program, library = require_source(folder, name), build / f"lib{Path(name).stem}.so"
    compiled = library.with_suffix(".o")
    for command in ([*_COMPILE, "-o", str(compiled), str(program)], [*_LINK, "-o", str(library), str(compiled)]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise PrototypeError(f"the prototype does not compile: {done.stderr.strip().splitlines()[-1:]}")
    return ctypes.CDLL(str(library))


def _pointer(array: npt.NDArray[np.float32]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)
