"""Which frames carry the hash of the state: one a second does."""

from codec.config import EncoderConfig

__all__ = ["HashSchedule"]


class HashSchedule:
    """Counts pictures at effort "best", so that its bytes are always the same; goes by the clock when live."""

    def __init__(self, config: EncoderConfig, now_s: float) -> None:
        """Begin with picture 0, at any clock's time."""
        self._by_clock = config.effort == "live"
        self._pictures = max(1, round(config.fps[0] / config.fps[1]))  # of a second
        self._last_picture = 0
        self._last_s = now_s

    def due(self, picture: int, now_s: float) -> bool:
        """Return whether the frame of this picture is to carry a hash; if so, the next second begins with it."""
        if self._by_clock:
            due = now_s - self._last_s >= 1.0
        else:
            due = picture - self._last_picture >= self._pictures
        if due:
            self._last_picture, self._last_s = picture, now_s
        return due
