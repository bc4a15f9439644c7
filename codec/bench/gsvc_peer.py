"""The gsvc profile on the bench: additive splats after Wang et al. (arXiv 2501.12060)."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from codec.bench.peers import CodedClip, Ladder, packets_of
from codec.bench.splat_peer import source_digest
from codec.gsvc import GsvcConfig, GsvcDecoder, GsvcEncoder
from codec.gsvc.config import GsvcEffort
from codec.media import RgbPicture

__all__ = ["GsvcPeer"]


@dataclass(frozen=True)
class GsvcPeer:
    """The gsvc encoder at one effort; its quality is how many splats a picture has."""

    name: str = "gsvc"
    effort: GsvcEffort = "default"
    threads: int = 2
    stills: bool = False  # every picture for itself
    start: tuple[float, ...] = (5.0, 20.0, 35.0, 50.0, 65.0, 75.0)

    @property
    def settings(self) -> str:
        """Return what its bytes depend on."""
        digest = source_digest("gsvc", "gsvc*")
        return f"gsvc effort {self.effort}, {'stills' if self.stills else 'clips'}, seed 0, sources {digest}"

    @property
    def ladder(self) -> Ladder:
        """Return the qualities to try."""
        return Ladder(self.start, 0.0, 100.0, 8.0)

    def missing(self) -> str | None:
        """Return None: it is always there."""
        return None

    def encode(self, pictures: Sequence[RgbPicture], fps: Fraction, quality: float) -> CodedClip:
        """Encode pictures, uint8 [height, width, 3], and decode the bytes again."""
        height, width = pictures[0].shape[:2]
        config = GsvcConfig(width, height, quality=quality, effort=self.effort, threads=self.threads)
        wall, cpu = time.perf_counter(), time.process_time()
        encoder = GsvcEncoder(config)
        packets = []
        for picture in pictures:
            encoder = GsvcEncoder(config) if self.stills else encoder
            packets.append(encoder.encode(picture))
        wall_s, cpu_s = time.perf_counter() - wall, time.process_time() - cpu
        decoder = GsvcDecoder(self.threads)
        sizes = tuple(map(len, packets))
        return CodedClip(
            sizes, tuple(map(packets_of, sizes)), [decoder.decode(packet) for packet in packets], wall_s, cpu_s
        )
