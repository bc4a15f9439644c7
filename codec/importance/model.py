"""MediaPipe's face detector and person segmenter as weights of blocks."""

import logging
import weakref
from pathlib import Path
from types import TracebackType
from typing import Protocol

import numpy as np
import numpy.typing as npt

from codec.importance.models import FACE_MODEL, MODELS, MODELS_DIR, PERSON_MODEL, intact
from codec.importance.weights import Face, block_weights
from codec.types import FloatArray

__all__ = ["ImportanceModel", "ImportanceUnavailable"]

logger = logging.getLogger(__name__)

_LOOK_PX = 256  # longest side of the picture the models see; they work at 256x144 and 128x128
_LEAST_CONFIDENCE = 0.5
_SYSTEM_PACKAGES = "libgl1 libegl1 libgles2 libglib2.0-0"


class ImportanceUnavailable(Exception):
    """MediaPipe or its models are missing; the message says what to do."""


class _Detector(Protocol):
    def look(self, rgb: npt.NDArray[np.uint8]) -> tuple[list[Face], FloatArray | None]:
        """Return faces and the person mask of a small picture."""

    def close(self) -> None:
        """Free what MediaPipe holds."""


class ImportanceModel:
    """Says where a picture matters: eyes and mouth, face, person, the rest. Not for two threads at once."""

    def __init__(self, *, required: bool = False, models: Path = MODELS_DIR) -> None:
        """Load the models.

        Where MediaPipe or its models are missing: raises ImportanceUnavailable if required, else logs a warning and
        gives every block the same weight from then on.
        """
        self._detector: _Detector | None = None
        try:
            detector = _load(models)
            self._detector = detector
            # MediaPipe must be closed before the interpreter takes modules down, whatever the owner forgets
            self._finalizer = weakref.finalize(self, detector.close)
        except ImportanceUnavailable as error:
            if required:
                raise
            logger.warning("importance is off: %s", error)

    @property
    def available(self) -> bool:
        """Whether the models are there."""
        return self._detector is not None

    def weights(self, rgb: npt.NDArray[np.uint8]) -> FloatArray:
        """Return the weight of each 16 px block of a picture [H, W, 3], 0.125 to 1: float32 [rows, columns].

        Raises ValueError unless the picture is uint8 RGB.
        """
        if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
            raise ValueError(f"picture: expected uint8 [H, W, 3], got {rgb.dtype} {list(rgb.shape)}")
        height, width = rgb.shape[:2]
        if self._detector is None:
            return np.ones((-(-height // 16), -(-width // 16)), np.float32)
        faces, person = self._detector.look(_shrink(rgb))
        return block_weights(faces, person, width, height)

    def close(self) -> None:
        """Free what MediaPipe holds; afterwards every block has the same weight. May be called twice."""
        if self._detector is not None:
            self._detector = None
            self._finalizer()

    def __enter__(self) -> "ImportanceModel":
        """Return the model itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()


def _shrink(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return the picture with its longest side at most _LOOK_PX px."""
    import cv2

    height, width = rgb.shape[:2]
    scale = _LOOK_PX / max(height, width)
    if scale >= 1:
        return np.ascontiguousarray(rgb)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.ascontiguousarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)


def _load(models: Path) -> _Detector:
    """Return the detector. Raises ImportanceUnavailable."""
    missing = [model.name for model in MODELS if not intact(model, models)]
    if missing:
        raise ImportanceUnavailable(f"{', '.join(missing)} not found; run `python -m codec.importance.fetch`")
    try:
        from codec.importance.detector import MediaPipeDetector
    except ImportError as error:
        raise ImportanceUnavailable(f"MediaPipe does not load ({error}); install {_SYSTEM_PACKAGES}") from error
    try:
        return MediaPipeDetector(models / FACE_MODEL.name, models / PERSON_MODEL.name, _LEAST_CONFIDENCE)
    except (OSError, RuntimeError, ValueError) as error:
        raise ImportanceUnavailable(f"MediaPipe does not start ({error}); install {_SYSTEM_PACKAGES}") from error
