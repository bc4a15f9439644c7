"""Optical flow as a proposal for the motion of cells: DIS flow from OpenCV, which MediaPipe brings along."""

from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from codec.types import FloatArray

__all__ = ["FlowEstimator"]

_LEAST_PX = 32  # DIS flow needs pictures of at least this side; smaller ones get no flow


class FlowEstimator:
    """Flow between two luma pictures of one size, at full resolution ("best") or at half ("live")."""

    def __init__(self, effort: Literal["best", "live"]) -> None:
        """Prepare the estimator; "live" runs DIS on halved pictures, "best" on whole ones."""
        self._halved = effort == "live"
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def flow(self, before: npt.NDArray[np.uint8], after: npt.NDArray[np.uint8]) -> FloatArray | None:
        """Return the flow from before to after, both [H, W]: px, float32 [2, H, W]; None for very small pictures."""
        height, width = after.shape
        if min(height, width) < _LEAST_PX * (2 if self._halved else 1):
            return None
        if not self._halved:
            field = self._dis.calc(before, after, None)  # type: ignore[call-overload]
            return np.ascontiguousarray(field.transpose(2, 0, 1), dtype=np.float32)
        half = (width // 2, height // 2)
        field = self._dis.calc(  # type: ignore[call-overload]
            cv2.resize(before, half, interpolation=cv2.INTER_AREA),
            cv2.resize(after, half, interpolation=cv2.INTER_AREA),
            None,
        )
        planes = [cv2.resize(field[..., k], (width, height), interpolation=cv2.INTER_LINEAR) for k in range(2)]
        planes[0] *= width / half[0]
        planes[1] *= height / half[1]
        return np.stack(planes)
