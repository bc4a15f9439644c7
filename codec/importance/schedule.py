"""When to look for faces and people: at every picture, or live at every few, the weights held in between."""

import copy

import numpy as np
import numpy.typing as npt

from codec.config import EncoderConfig
from codec.importance.model import ImportanceModel
from codec.importance.weights import BLOCK_PX
from codec.types import FloatArray

__all__ = ["ImportanceSchedule"]

_LOOK_EVERY = {"best": 1, "live": 6}  # pictures


class ImportanceSchedule:
    """A model, the weights it gave last and when; where importance is off, every block weighs the same.

    A deep copy shares the model: what MediaPipe holds cannot be copied, and no picture changes it.
    """

    def __init__(self, config: EncoderConfig) -> None:
        """Load the model where importance is on; without MediaPipe it logs a warning and gives even weights."""
        self._model = ImportanceModel() if config.importance else None
        self._shape = -(-config.height_px // BLOCK_PX), -(-config.width_px // BLOCK_PX)
        self._every = _LOOK_EVERY[config.effort]
        self._looked_at = 0  # picture
        self._weights: FloatArray | None = None  # replaced by every look, never written into

    def __deepcopy__(self, memo: dict[int, object]) -> "ImportanceSchedule":
        """Return a copy that has the same model."""
        return copy.copy(self)

    @property
    def weights(self) -> FloatArray | None:
        """The weight of each 16 px block in the last picture, [rows, columns]; None before the first."""
        return self._weights

    def look(self, rgb: npt.NDArray[np.uint8], picture: int) -> FloatArray:
        """Return the weight of each 16 px block of a picture [H, W, 3] with this number: [rows, columns]."""
        if self._model is None:
            if self._weights is None:
                self._weights = np.ones(self._shape, np.float32)
        elif self._weights is None or picture - self._looked_at >= self._every:
            self._weights = self._model.weights(rgb)
            self._looked_at = picture
        return self._weights

    def close(self) -> None:
        """Free what MediaPipe holds; afterwards the weights stay as they are. May be called twice."""
        if self._model is not None:
            self._model.close()
            self._model = None
