"""The gsvc profile: additive splats after Wang et al. (arXiv 2501.12060), a baseline to measure against."""

from codec.gsvc.config import GsvcConfig
from codec.gsvc.decoder import GsvcDecoder
from codec.gsvc.encoder import GsvcEncoder, fit_still

__all__ = ["GsvcConfig", "GsvcDecoder", "GsvcEncoder", "fit_still"]
