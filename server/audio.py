"""Which voice is heard on which audio line of a listener, and RTP time that stays steady when the voice changes."""

from collections.abc import Sequence

__all__ = ["AudioLinePool", "LineTimestamps"]


class AudioLinePool:
    """A listener's fixed lines: a speaker keeps their line; who finds none waits until one is free."""

    def __init__(self, count: int) -> None:
        self._lines: list[str | None] = [None] * count

    @property
    def lines(self) -> tuple[str | None, ...]:
        """Speaker of each line."""
        return tuple(self._lines)

    def assign(self, speakers: Sequence[str]) -> bool:
        """Give lines to these speakers, the first ones first; tell whether anything changed."""
        before = self.lines
        wanted = set(speakers)
        self._lines = [speaker if speaker in wanted else None for speaker in self._lines]
        waiting = [speaker for speaker in speakers if speaker not in self._lines]
        for index, holder in enumerate(self._lines):
            if holder is None and waiting:
                self._lines[index] = waiting.pop(0)
        return self.lines != before

    def line_of(self, speaker: str) -> int | None:
        """Return the line on which a speaker is heard."""
        return self._lines.index(speaker) if speaker in self._lines else None


class LineTimestamps:
    """Output RTP time of one line: the speaker's own steps, joined by wall time where the speaker changes."""

    def __init__(self, clock_rate: int = 48_000) -> None:
        self._ticks_per_ms = clock_rate / 1000
        self._source: str | None = None
        self._source_base = 0
        self._line_base = 0
        self._last = 0
        self._last_ms = 0.0

    def map(self, source: str, timestamp: int, now_ms: float) -> int:
        """Return the line's timestamp for a packet of a source."""
        if source != self._source:
            gap = int((now_ms - self._last_ms) * self._ticks_per_ms) if self._source is not None else 0
            self._source, self._source_base, self._line_base = source, timestamp, self._last + max(gap, 1)
        step = (timestamp - self._source_base + 0x80000000) % 0x100000000 - 0x80000000
        mapped = self._line_base + step
        if abs(step) > 0x40000000:  # well before the difference would wrap
            self._source_base, self._line_base = timestamp, mapped
        self._last, self._last_ms = max(mapped, self._last), now_ms
        return mapped
