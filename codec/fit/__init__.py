"""The key frame's fit: Adam on normalised splats. `native` runs, `reference` says slowly what it must do."""

from codec.fit.backend import FitSession, pack_splats, unpack_splats
from codec.fit.native import NativeFit, fit

__all__ = ["FitSession", "NativeFit", "fit", "pack_splats", "unpack_splats"]
