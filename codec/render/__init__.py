"""Pictures from splat states (SPEC section 1.1): `native` draws, `reference` says slowly what it must draw."""

from codec.render.native import render, to_rgb
from codec.render.output import Region, output_size

__all__ = ["Region", "output_size", "render", "to_rgb"]
