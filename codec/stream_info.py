"""What a .splatv file holds: epochs, frames, sizes, and the bits of each syntax element."""

from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from codec.bitstream.container import (
    PROFILE_GSVC,
    RECORD_EPOCH,
    RECORD_FRAME,
    RECORD_PATCH,
    SplatvInfo,
    SplatvReader,
    split_parts,
)
from codec.bitstream.epoch import parse_epoch
from codec.bitstream.frame import frame_bits
from codec.bitstream.header import parse_header
from codec.errors import BitstreamError
from codec.gsvc.packet import is_key
from codec.types import EpochRecord

__all__ = ["FrameKindFigures", "StreamFigures", "describe_stream", "read_figures"]


@dataclass
class FrameKindFigures:
    """All frames of one kind."""

    frames: int = 0
    pictures: int = 0  # midpoints included
    size_bytes: int = 0
    header_bytes: int = 0
    element_bits: Counter[str] = field(default_factory=Counter)  # ideal code lengths, by syntax element
    table_sets: Counter[int] = field(default_factory=Counter)  # frames by the set they are coded with
    most_over_bytes: float = 0.0  # largest of what a frame's streams take beyond their ideal code length


@dataclass
class StreamFigures:
    """A whole file."""

    info: SplatvInfo
    size_bytes: int
    epochs: list[EpochRecord] = field(default_factory=list)
    kinds: dict[str, FrameKindFigures] = field(default_factory=dict)  # "key", "p"
    left_out: int = 0  # pictures that show the frame before them again
    patches: int = 0
    patch_bytes: int = 0
    epoch_bytes: int = 0

    @property
    def other_bytes(self) -> int:
        """Bytes of neither frames nor patches nor epoch records: head, index, lengths of records."""
        frames = sum(kind.size_bytes for kind in self.kinds.values())
        return self.size_bytes - frames - self.patch_bytes - self.epoch_bytes

    @property
    def pictures(self) -> int:
        """Pictures that the file shows: frames, midpoints, and those left out."""
        return self.left_out + sum(figures.pictures for figures in self.kinds.values())

    @property
    def frames(self) -> int:
        """Frames of both kinds."""
        return sum(figures.frames for figures in self.kinds.values())


def read_figures(path: Path) -> StreamFigures:
    """Read a whole file; raises BitstreamError where it is none or where a frame does not parse."""
    with path.open("rb") as file:
        reader = SplatvReader(file)
        figures = StreamFigures(reader.info, path.stat().st_size)
        for record in reader.records():
            if record.kind == RECORD_EPOCH:
                figures.epochs.append(parse_epoch(record.body))
                figures.epoch_bytes += len(record.body)
            elif record.kind == RECORD_FRAME and reader.info.profile == PROFILE_GSVC:
                _add_gsvc_frame(figures, record.body)
            elif record.kind == RECORD_FRAME and not record.body:
                figures.left_out += 1
            elif record.kind == RECORD_FRAME:
                _add_frame(figures, record.body)
            elif record.kind == RECORD_PATCH:
                figures.patches += 1
                figures.patch_bytes += len(record.body)
    return figures


def describe_stream(path: Path) -> str:
    """Return what a file holds as text for people."""
    figures = read_figures(path)
    info, frames = figures.info, figures.frames
    fps = Fraction(*info.fps)
    rate = f", {figures.size_bytes * 8 * float(fps) / figures.pictures / 1000:.1f} kbit/s" if frames else ""
    midpoints = figures.pictures - figures.left_out - frames
    shown = f"{frames} frames" + (f" and {midpoints} midpoints" if midpoints else "")
    lines = [
        f"{path}: {info.width_px}x{info.height_px}, {float(fps):.3f} fps, {shown}, {figures.size_bytes} bytes{rate}"
    ]
    if info.profile == PROFILE_GSVC:
        lines.append("profile gsvc: additive splats, a baseline that calls do not use")
    lines += [
        f"epoch {epoch.epoch}: {epoch.width_px}x{epoch.height_px}, {epoch.slots} slots in {epoch.blocks} blocks, "
        f"base every {epoch.base_spacing_px} px, tables version {epoch.tables}"
        for epoch in figures.epochs
    ]
    if figures.left_out:
        lines.append(f"pictures left out: {figures.left_out}")
    if figures.patches:
        lines.append(f"patches to seek by: {figures.patches}, {figures.patch_bytes} bytes")
    for kind, name in (("key", "key frames"), ("p", "P-frames")):
        if kind in figures.kinds:
            lines += _kind_lines(name, figures.kinds[kind])
    lines.append(f"epoch records: {figures.epoch_bytes} bytes; head, index and lengths: {figures.other_bytes} bytes")
    return "\n".join(lines)


def _add_gsvc_frame(figures: StreamFigures, body: bytes) -> None:
    """Count a frame of the gsvc profile, whose syntax elements are not told apart."""
    kind = figures.kinds.setdefault("key" if is_key(body) else "p", FrameKindFigures())
    kind.frames += 1
    kind.pictures += 1
    kind.size_bytes += len(body)


def _add_frame(figures: StreamFigures, body: bytes) -> None:
    if not figures.epochs:
        raise BitstreamError("expected an epoch record before the first frame")
    parts = split_parts(body)
    headers = [parse_header(part) for part in parts]
    bits = frame_bits(parts, figures.epochs[-1])
    size_bytes, header_bytes = sum(map(len, parts)), sum(header.size_bytes for header in headers)
    kind = figures.kinds.setdefault(headers[0].kind, FrameKindFigures())
    kind.frames += 1
    kind.pictures += figures.info.pictures_of(parts[0])
    kind.size_bytes += size_bytes
    kind.header_bytes += header_bytes
    kind.element_bits.update(bits)
    kind.table_sets[headers[0].table_set] += 1
    kind.most_over_bytes = max(kind.most_over_bytes, size_bytes - header_bytes - sum(bits.values()) / 8)


def _kind_lines(name: str, kind: FrameKindFigures) -> list[str]:
    """Return the heading, one line an element, largest first, and what is not an element: together all bytes."""
    if not kind.element_bits:
        return [f"{name}: {kind.frames}, {kind.size_bytes} bytes, {kind.size_bytes / kind.frames:.1f} a frame"]
    total, header_bits = kind.size_bytes * 8, kind.header_bytes * 8
    sets = ", ".join(f"{number}: {frames}" for number, frames in sorted(kind.table_sets.items()))
    lines = [
        f"{name}: {kind.frames}, {kind.size_bytes} bytes, {kind.size_bytes / kind.frames:.1f} a frame; "
        f"frames by table set {sets}; at most {kind.most_over_bytes:.1f} bytes of streams over their ideal length"
    ]
    ends = total - header_bits - kind.element_bits.total()
    elements = [*kind.element_bits.most_common(), ("headers", header_bits), ("ends of streams", ends)]
    lines += [f"  {element:<28} {bits:>12.0f} bits {100 * bits / total:>5.1f}%" for element, bits in elements]
    return lines
