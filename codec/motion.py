"""Optical flow as a proposal for the motion of cells: DIS flow from OpenCV, which MediaPipe brings along."""

import cv2
import numpy as np
import numpy.typing as npt

from codec.types import FloatArray

__all__ = ["FlowEstimator"]

_LEAST_PX = 32  # DIS flow needs pictures of at least this side; smaller ones get no flow


class FlowEstimator:
    """Flow between two luma pictures of one size."""

    def __init__(self) -> None:
        """Prepare the estimator."""
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def flow(self, before: npt.NDArray[np.uint8], after: npt.NDArray[np.uint8]) -> FloatArray | None:
        """Return the flow from before to after, both [H, W]: px, float32 [2, H, W]; None for very small pictures."""
        if min(after.shape) < _LEAST_PX:
            return None
        field = self._dis.calc(before, after, None)  # type: ignore[call-overload]
        return np.ascontiguousarray(field.transpose(2, 0, 1), dtype=np.float32)
