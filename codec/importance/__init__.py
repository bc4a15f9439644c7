"""Where a picture matters: MediaPipe's faces and persons as a weight for each 16 px block."""

from codec.importance.model import ImportanceModel, ImportanceUnavailable
from codec.importance.schedule import ImportanceSchedule
from codec.importance.weights import lambda_map_of

__all__ = ["ImportanceModel", "ImportanceSchedule", "ImportanceUnavailable", "lambda_map_of"]
