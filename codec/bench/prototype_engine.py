"""The throw-away prototype's P-frame engine, compiled on the spot: what ours is raced against."""

import ctypes
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from codec.bench.prototype import compile_source, prototype_rows
from codec.fit.reference import EPS_BASE
from codec.quantize import dequantize_splats
from codec.types import KIND_DEAD, FloatArray, SplatState

__all__ = ["SOURCE_NAME", "EngineOptions", "PrototypeEngine", "PrototypeFrame", "load_engine"]

SOURCE_NAME = "engine.cpp"
_MAP_CELL_PX = 32  # of its map of lambda
_FIGURES = 16  # values that it reports of a frame


@dataclass(frozen=True)
class EngineOptions:
    """What both engines are told; everything else is as each does it."""

    lambda_: float  # squared error (0..255 scale) that one bit must save
    chroma_weight: float
    mean_step: float  # px
    shape_step: float  # log units
    luma_step: float  # 1/255
    chroma_step: float  # likewise
    sweeps: int
    births: int  # at most, a frame
    levels: int = 4  # of cells: 128 px down to 16; 3: from 64 px
    motion_margin: float = 2.0  # on lambda, where motion of cells is chosen: ours always has this factor


class _Options(ctypes.Structure):
    """`Opt` of engine.cpp, field by field."""

    _fields_ = (
        *((name, ctypes.c_float) for name in ("lam", "sp", "ss", "sy", "sc", "wc")),
        *(
            (name, ctypes.c_int)
            for name in ("sweeps", "ctx", "levels", "cellmin", "gmv", "gcol", "ltr", "birth", "rev")
        ),
        ("mvstep", ctypes.c_float),
        *((name, ctypes.c_int) for name in ("maxbirth", "refit", "ncand", "adsp")),
        ("lamb", ctypes.c_float),
        *((name, ctypes.c_int) for name in ("mix", "tent", "tmv", "mvctx")),
        ("lamg", ctypes.c_float),
        *((name, ctypes.c_int) for name in ("dirty", "cand3", "addm")),
        ("pers", ctypes.c_float),
        *((name, ctypes.c_int) for name in ("sf", "rst")),
        ("K", ctypes.c_float),
        *((name, ctypes.c_int) for name in ("col", "vel", "caff")),
    )


@dataclass(frozen=True)
class PrototypeFrame:
    """What it did with one picture."""

    bits: float  # ideal code length by its own adaptive counters, 16 of them for a header
    changed: int  # splats updated or born


class PrototypeEngine:
    """Holds a picture and moves it on, as the prototype did; its memory is never given back, for want of a call."""

    def __init__(self, library: ctypes.CDLL, state: SplatState, base: FloatArray) -> None:
        """Start from a state; library: what load_engine() returned; base: the state's base as a picture [3, H, W]."""
        self._calls = library
        self._openmp = ctypes.CDLL("libgomp.so.1")
        self._height, self._width = base.shape[1:]
        rows = prototype_parameters(state)
        self._handle = self._calls.rd_new(
            self._width,
            self._height,
            state.epoch.slots,
            len(rows),
            _pointer(rows),
            _pointer(np.ascontiguousarray(base, np.float32)),
            EPS_BASE,
        )
        cells = -(-self._height // _MAP_CELL_PX), -(-self._width // _MAP_CELL_PX)
        self._lambda_map = np.ones(cells, np.float32)
        self._figures = np.zeros(_FIGURES)

    def set_options(self, options: EngineOptions) -> None:
        """Set what the next frames are encoded by."""
        self._calls.rd_opt(self._handle, ctypes.byref(_as_structure(options)))

    def set_threads(self, threads: int) -> None:
        """Set how many threads encode() uses."""
        self._openmp.omp_set_num_threads(threads)

    def picture(self) -> FloatArray:
        """Return the picture of the state inside, Y, Cb, Cr in 1/255, not clipped: float32 [3, H, W]."""
        planes = np.empty((3, self._height, self._width), np.float32)
        self._calls.rd_img(self._handle, _pointer(planes), 1)
        return planes

    def encode(self, target: FloatArray, flows: tuple[FloatArray, FloatArray]) -> PrototypeFrame:
        """Move nearer to a target, Y, Cb, Cr float32 [3, H, W]; flows: px, float32 [2, H, W] each."""
        self._calls.rd_fl2(self._handle, _pointer(flows[1]))
        self._calls.rd_enc(
            self._handle,
            _pointer(target),
            _pointer(flows[0]),
            None,  # a global affine
            _pointer(self._lambda_map),
            self._figures.ctypes.data_as(ctypes.c_void_p),
        )
        return PrototypeFrame(float(self._figures[0]), int(self._figures[5] + self._figures[6]))


def prototype_parameters(state: SplatState) -> FloatArray:
    """Return the live splats of a state as the engine's parameters [n, 8]: x, y, ln a, b / c, ln c, Y, Cb, Cr."""
    rows = prototype_rows(dequantize_splats(state.splats[state.splats[:, 8] != KIND_DEAD]))
    a, b, c = rows[:, 2:5].T
    return np.ascontiguousarray(np.column_stack([rows[:, :2], np.log(a), b / c, np.log(c), rows[:, 5:]]), np.float32)


def _as_structure(options: EngineOptions) -> _Options:
    """Return the options with everything that was on at the prototype's end and is no option of ours."""
    return _Options(
        lam=options.lambda_,
        sp=options.mean_step,
        ss=options.shape_step,
        sy=options.luma_step,
        sc=options.chroma_step,
        wc=options.chroma_weight,
        sweeps=options.sweeps,
        ctx=2,
        levels=options.levels,
        cellmin=16,
        gmv=1,
        gcol=1,
        birth=int(options.births > 0),
        mvstep=0.25,
        maxbirth=options.births,
        refit=1,
        ncand=4,
        lamb=1.0,
        tmv=1,
        mvctx=1,
        lamg=options.motion_margin,
        dirty=1,
        cand3=1,
        addm=1,
        K=60.0,
    )


def load_engine(source: Path, build: Path) -> ctypes.CDLL:
    """Compile `source`/engine.cpp into `build` and load it; raises PrototypeError when it cannot be compiled."""
    library = compile_source(source, SOURCE_NAME, build)
    pointer, whole, number = ctypes.c_void_p, ctypes.c_int, ctypes.c_float
    library.rd_new.restype = pointer
    library.rd_new.argtypes = [whole, whole, whole, whole, pointer, pointer, number]
    library.rd_opt.argtypes = library.rd_fl2.argtypes = [pointer, pointer]
    library.rd_enc.argtypes = [pointer] * 6
    library.rd_img.argtypes = [pointer, pointer, whole]
    for call in (library.rd_opt, library.rd_fl2, library.rd_enc, library.rd_img):
        call.restype = None
    return library


def _pointer(array: npt.NDArray[np.float32]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)
