"""Pictures in, packets out: a video codec whose pictures are sets of 2D Gaussian splats."""

__all__ = ["__version__"]

__version__ = "0.1.0"
