"""The closed loops of exact trials on quantised splats: key frames and P-frames."""

from codec.engine.key import KeyFrameFit, KeyPlan
from codec.engine.pframe import PFrameEngine, PFrameFigures, PFramePlan

__all__ = ["KeyFrameFit", "KeyPlan", "PFrameEngine", "PFrameFigures", "PFramePlan"]
