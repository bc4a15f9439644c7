"""The only importer of MediaPipe: two tasks on small pictures."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mediapipe
import numpy as np
import numpy.typing as npt
from mediapipe.tasks.python import BaseOptions, vision

from codec.importance.weights import Face
from codec.types import FloatArray

__all__ = ["MediaPipeDetector"]

_EYES, _MOUTH = slice(0, 2), slice(3, 4)  # of the face model's key points: eyes, nose, mouth, ears


class MediaPipeDetector:
    """A face detector (short range) and a person segmenter (landscape), both on the processor."""

    def __init__(self, face_model: Path, person_model: Path, least_confidence: float) -> None:
        """Load both and look once, so that what is set up late is. Raises OSError, RuntimeError or ValueError."""
        with _native_stderr_silenced():
            self._load(face_model, person_model, least_confidence)
            self.look(np.zeros((64, 64, 3), np.uint8))

    def _load(self, face_model: Path, person_model: Path, least_confidence: float) -> None:
        """Load both models; if the second fails, close the first."""
        self._faces = vision.FaceDetector.create_from_options(
            vision.FaceDetectorOptions(_options(face_model), min_detection_confidence=least_confidence)
        )
        try:
            self._person = vision.ImageSegmenter.create_from_options(
                vision.ImageSegmenterOptions(_options(person_model), output_confidence_masks=True)
            )
        except (OSError, RuntimeError, ValueError):
            self._faces.close()
            raise

    def look(self, rgb: npt.NDArray[np.uint8]) -> tuple[list[Face], FloatArray | None]:
        """Return the faces and how surely each pixel is a person, 0 .. 1 [h, w]."""
        height, width = rgb.shape[:2]
        image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=rgb)
        faces = [_face_of(detection, width, height) for detection in self._faces.detect(image).detections]
        masks = self._person.segment(image).confidence_masks
        if not masks:
            return faces, None
        person = np.asarray(masks[-1].numpy_view(), np.float32).reshape(height, width).copy()
        return faces, person

    def close(self) -> None:
        """Free what MediaPipe holds. While the interpreter ends, MediaPipe cannot, and the process frees it anyway."""
        with _native_stderr_silenced():
            for task in (self._faces, self._person):
                try:
                    task.close()
                except RuntimeError as error:
                    if "shutdown" not in str(error):
                        raise


def _face_of(detection: Any, width_px: int, height_px: int) -> Face:
    """Return a detection of MediaPipe's in shares of the picture's sides."""
    box = detection.bounding_box
    points = [(float(point.x), float(point.y)) for point in detection.keypoints or ()]
    return Face(
        (box.origin_x / width_px, box.origin_y / height_px, box.width / width_px, box.height / height_px),
        tuple(points[_EYES]),
        tuple(points[_MOUTH]),
    )


@contextlib.contextmanager
def _native_stderr_silenced() -> Iterator[None]:
    """Send file descriptor 2 nowhere: the native libraries report each delegate there, at no level that can be set."""
    try:
        sys.stderr.flush()
        kept = os.dup(2)
    except (AttributeError, OSError, ValueError):  # no stderr: nothing to silence
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _options(model: Path) -> BaseOptions:
    """Return options with the model's bytes, so that its path does not matter."""
    return BaseOptions(model_asset_buffer=model.read_bytes(), delegate=BaseOptions.Delegate.CPU)
