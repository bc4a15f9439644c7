"""The closed loops of exact trials on quantised splats: key frames and P-frames."""

from codec.engine.growing import GrowingEngine, Growth
from codec.engine.key import BEST_PLAN, SLOW_PLAN, START_PLAN, KeyFrameFit, KeyPlan
from codec.engine.pframe import EngineHabits, PFrameEngine, PFrameFigures, PFramePlan

__all__ = [
    "BEST_PLAN",
    "SLOW_PLAN",
    "START_PLAN",
    "EngineHabits",
    "GrowingEngine",
    "Growth",
    "KeyFrameFit",
    "KeyPlan",
    "PFrameEngine",
    "PFrameFigures",
    "PFramePlan",
]
