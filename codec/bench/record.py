"""Records the symbols of streams, for the training of entropy tables.

`python -m codec.bench.record OUT.npz CLIP [--size WxH] [--frames N] [--quality Q,Q,...]` encodes the clip at each
quality and counts every symbol of its frames, and of a join patch every second. `codec.bitstream.train_tables` makes
tables of such files.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from codec.bitstream.entropy import RecordingEncoder
from codec.bitstream.frame import parse_frame
from codec.bitstream.patch import make_patch, parse_patch_part
from codec.cli_values import size as picture_size
from codec.config import EncoderConfig
from codec.encoder import Encoder
from codec.media import open_clip

__all__ = ["main", "record_clip"]

_PATCH_EVERY = 30  # frames


def record_clip(
    path: Path, recorder: RecordingEncoder, quality: float, frames: int, size: tuple[int, int] | None = None
) -> int:
    """Count the symbols of one stream; returns its bytes."""
    total_bytes = 0
    with open_clip(path, size=size, frames=frames) as clip:
        config = EncoderConfig(clip.width_px, clip.height_px, quality=quality, importance=False)
        encoder = Encoder(config)
        for index, rgb in enumerate(clip):
            frame = encoder.encode(rgb)
            state = encoder.state
            assert state is not None
            total_bytes += frame.stats.bytes
            parse_frame(frame.parts, state.epoch, recorder)
            if index % _PATCH_EVERY == _PATCH_EVERY - 1:
                for part in make_patch(state, None, -1):
                    parse_patch_part(part, state.epoch, recorder)
    return total_bytes


def main(arguments: Sequence[str]) -> None:
    """Record one clip at several qualities."""
    parser = argparse.ArgumentParser(prog="python -m codec.bench.record", description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--size", type=picture_size)
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--quality", default="30,50,70")
    options = parser.parse_args(arguments)
    recorder = RecordingEncoder()
    for quality in map(float, options.quality.split(",")):
        size_bytes = record_clip(options.clip, recorder, quality, options.frames, options.size)
        print(f"{options.clip.name}, quality {quality:g}: {size_bytes} bytes", flush=True)
    recorder.save(options.out)


if __name__ == "__main__":
    main(sys.argv[1:])
