"""Records the symbols of streams, for the training of entropy tables and the measuring of contexts.

`python -m codec.bench.record OUT.npz INPUT... [--size WxH] [--frames N] [--keys N] [--quality Q,Q,...]` keeps every
symbol of the frames of one clip, and of a join patch every second. An input is a clip, which is encoded at each
quality, or a .splatv file of one, which is read as it is. `codec.bitstream.train_tables` and `codec.bench.contexts`
take such files.
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from codec.bitstream.container import RECORD_EPOCH, RECORD_FRAME, SplatvReader, split_parts
from codec.bitstream.frame import parse_frame
from codec.bitstream.header import parse_header
from codec.bitstream.patch import make_patch, parse_patch_part
from codec.bitstream.recording import RecordingEncoder
from codec.cli_values import size as picture_size
from codec.config import EncoderConfig
from codec.decoder import Decoder
from codec.encoder import Encoder
from codec.media import open_clip
from codec.types import SplatState

__all__ = ["main", "record_clip", "record_keys", "record_stream"]

_PATCH_EVERY = 30  # frames


def record_clip(
    path: Path, recorder: RecordingEncoder, quality: float, frames: int, size: tuple[int, int] | None, stream: int
) -> int:
    """Keep the symbols of a clip encoded at one quality; returns the stream's bytes."""
    total_bytes = 0
    with open_clip(path, size=size, frames=frames) as clip:
        config = EncoderConfig(clip.width_px, clip.height_px, quality=quality, importance=False, threads=1)
        with closing(Encoder(config)) as encoder:
            for index, rgb in enumerate(clip):
                frame = encoder.encode(rgb)
                assert encoder.state is not None
                total_bytes += frame.stats.bytes
                _record_frame(recorder, encoder.state, frame.parts, index, stream)
    return total_bytes


def record_keys(
    path: Path, recorder: RecordingEncoder, quality: float, count: int, size: tuple[int, int] | None, stream: int
) -> None:
    """Keep the symbols of key frames of pictures spread over a clip: one stream has too few to learn from."""
    with open_clip(path, size=size) as clip:
        pictures = list(clip)
        config = EncoderConfig(clip.width_px, clip.height_px, quality=quality, importance=False, threads=1)
    with closing(Encoder(config)) as encoder:
        for index in range(count):
            frame = encoder.encode(pictures[(2 * index + 1) * len(pictures) // (2 * count)], force_key=True)
            assert encoder.state is not None
            recorder.begin_frame("key", stream)
            parse_frame(frame.parts, encoder.state.epoch, recorder)


def record_stream(path: Path, recorder: RecordingEncoder, frames: int, stream: int) -> int:
    """Keep the symbols of the first frames of a .splatv file; returns their bytes."""
    total_bytes = index = 0
    decoder = Decoder()
    with path.open("rb") as file:
        for record in SplatvReader(file).records():
            if record.kind == RECORD_EPOCH:
                decoder.push_epoch(record.body)
            elif record.kind == RECORD_FRAME and record.body and index < frames:
                parts = split_parts(record.body)
                total_bytes += sum(map(len, parts))
                _record_frame(recorder, decoder.push_frame(parts), parts, index, stream)
                index += 1
    return total_bytes


def _record_frame(
    recorder: RecordingEncoder, state: SplatState, parts: Sequence[bytes], index: int, stream: int
) -> None:
    """Keep a frame's symbols, and those of a patch to the state after it where one is due."""
    recorder.begin_frame(parse_header(parts[0]).kind, stream)
    parse_frame(parts, state.epoch, recorder)
    if index % _PATCH_EVERY == _PATCH_EVERY - 1:
        recorder.begin_frame("patch", stream)
        for part in make_patch(state, None, -1):
            parse_patch_part(part, state.epoch, recorder)


def main(arguments: Sequence[str]) -> None:
    """Record one clip at several qualities."""
    parser = argparse.ArgumentParser(prog="python -m codec.bench.record", description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("inputs", type=Path, nargs="+")
    parser.add_argument("--clip", help="name of the clip (default: that of OUT)")
    parser.add_argument("--size", type=picture_size)
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--keys", type=int, default=0, metavar="N", help="and so many key frames all over each clip")
    parser.add_argument("--quality", default="30,50,70", help="of clips; a .splatv file has its own")
    options = parser.parse_args(arguments)
    recorder = RecordingEncoder()
    stream = 0
    for path in options.inputs:
        if path.suffix == ".splatv":
            size_bytes = record_stream(path, recorder, options.frames, stream)
            print(f"{path.name}: {size_bytes} bytes", flush=True)
            stream += 1
            continue
        for quality in map(float, options.quality.split(",")):
            size_bytes = record_clip(path, recorder, quality, options.frames, options.size, stream)
            print(f"{path.name}, quality {quality:g}: {size_bytes} bytes", flush=True)
            if options.keys:
                record_keys(path, recorder, quality, options.keys, options.size, stream)
            stream += 1
    recorder.recording(options.clip or options.out.stem).save(options.out)


if __name__ == "__main__":
    main(sys.argv[1:])
