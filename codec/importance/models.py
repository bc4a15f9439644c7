"""The two model files: their names, where they come from, and what their bytes must be."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

__all__ = ["FACE_MODEL", "MODELS", "MODELS_DIR", "PERSON_MODEL", "ModelFile", "intact"]

MODELS_DIR = Path(__file__).parent / "models"


@dataclass(frozen=True)
class ModelFile:
    """A model, where it lies in the wheel, and the SHA-256 of its bytes."""

    name: str
    member: str
    sha256: str


FACE_MODEL = ModelFile(
    "face_detection_short_range.tflite",
    "mediapipe/modules/face_detection/face_detection_short_range.tflite",
    "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
)
PERSON_MODEL = ModelFile(
    "selfie_segmentation_landscape.tflite",
    "mediapipe/modules/selfie_segmentation/selfie_segmentation_landscape.tflite",
    "a77d03f4659b9f6b6c1f5106947bf40e99d7655094b6527f214ea7d451106edd",
)
MODELS = (FACE_MODEL, PERSON_MODEL)


def intact(model: ModelFile, folder: Path = MODELS_DIR) -> bool:
    """Return whether the model lies in the folder, whole."""
    path = folder / model.name
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == model.sha256
