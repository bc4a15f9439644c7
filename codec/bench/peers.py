"""What is compared: anything that turns pictures into bytes and back, and how its qualities are chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from codec.media import RgbPicture

__all__ = ["PACKET_PAYLOAD_BYTES", "CodedClip", "Ladder", "Peer", "packets_of"]

PACKET_PAYLOAD_BYTES = 1150  # of a frame in one datagram


@dataclass(frozen=True)
class CodedClip:
    """One clip through one codec at one quality."""

    sizes_bytes: tuple[int, ...]  # of each frame, as sent, without any container
    packets: tuple[int, ...]  # datagrams of each frame
    pictures: list[RgbPicture]  # decoded from those bytes, uint8 [height, width, 3]
    wall_s: float  # of the encoder, all frames
    cpu_s: float  # of all its threads


@dataclass(frozen=True)
class Ladder:
    """Settings of a codec's quality that span a range of dB, found by going on from a first few."""

    start: tuple[float, ...]  # from coarse to fine
    coarsest: float
    finest: float
    step: float  # between settings beyond the first few

    def next_quality(self, results: Mapping[float, float], low: float, high: float) -> float | None:
        """Return the next setting to try so that results span low to high; None where they do or cannot.

        `results` holds that of each setting tried so far, which must include all of `start`.
        """
        direction = 1.0 if self.finest > self.coarsest else -1.0
        if min(results.values()) > low:
            coarsest = min(results, key=lambda quality: quality * direction)
            if coarsest != self.coarsest:
                return self._bounded(coarsest - direction * self.step)
        if max(results.values()) < high:
            finest = max(results, key=lambda quality: quality * direction)
            if finest != self.finest:
                return self._bounded(finest + direction * self.step)
        return None

    def _bounded(self, quality: float) -> float:
        low, high = sorted((self.coarsest, self.finest))
        return min(max(quality, low), high)


class Peer(Protocol):
    """A codec on the bench. Its bytes depend on the pictures, `settings` and the quality alone."""

    @property
    def name(self) -> str:
        """Return the name in tables."""

    @property
    def settings(self) -> str:
        """Return all that its bytes depend on, versions included."""

    @property
    def ladder(self) -> Ladder:
        """Return the qualities to try."""

    def missing(self) -> str | None:
        """Return why it cannot run here, None where it can."""

    def encode(self, pictures: Sequence[RgbPicture], fps: Fraction, quality: float) -> CodedClip:
        """Encode pictures, uint8 [height, width, 3], and decode the bytes again."""


def packets_of(size_bytes: int) -> int:
    """Return how many datagrams a frame of so many bytes fills."""
    return -(-size_bytes // PACKET_PAYLOAD_BYTES)
