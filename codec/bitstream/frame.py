"""Whole frames from their parts, and what their bits went into (SPEC sections 3, 5, 6)."""

from collections.abc import Sequence
from dataclasses import replace

from codec.bitstream.entropy import CountingEncoder, PlaneCoder, PlaneDecoder
from codec.bitstream.header import FrameHeader, parse_header
from codec.bitstream.key_frame import parse_key_part, serialize_key, serialize_lead
from codec.bitstream.p_frame import parse_p_part, serialize_p
from codec.errors import BitstreamError
from codec.slots import blocks_for
from codec.types import EPOCH_MODULUS, EpochRecord, ParsedFrame, ParsedKeyPart, ParsedPPart

__all__ = [
    "MAX_PARSED_PART_BYTES",
    "frame_bits",
    "parse_frame",
    "parse_part",
    "serialize_key",
    "serialize_lead",
    "serialize_p",
]

MAX_PARSED_PART_BYTES = 65535


def parse_part(
    part: bytes, epoch: EpochRecord, listener: PlaneCoder | None = None
) -> tuple[FrameHeader, ParsedKeyPart | ParsedPPart]:
    """Return header and content of one part; raises BitstreamError. A listener is told every symbol."""
    if len(part) > MAX_PARSED_PART_BYTES:
        raise BitstreamError(f"a part has at most {MAX_PARSED_PART_BYTES} bytes, got {len(part)}")
    header = parse_header(part)
    expected = epoch.epoch % EPOCH_MODULUS
    if header.epoch != expected:
        raise BitstreamError(f"frame of epoch {header.epoch}, expected {expected} (both mod {EPOCH_MODULUS})")
    if (header.layer or 0) >= len(epoch.layers):
        raise BitstreamError(f"layer {header.layer} of an epoch of {len(epoch.layers)} layers")
    decoder = PlaneDecoder(part[header.size_bytes :], header.table_set, listener)
    if header.kind == "key":
        return header, parse_key_part(decoder, epoch, header)
    return header, parse_p_part(decoder, epoch, header)


def parse_frame(
    parts: Sequence[bytes], epoch: EpochRecord, listener: PlaneCoder | None = None, *, partial: bool = False
) -> ParsedFrame:
    """Return the frame that parts, in any order, make up; needs no state.

    partial: parts other than part 0 may be missing, as to show a key frame before all of it came.
    Raises BitstreamError where a part is malformed, missing or of another frame.
    """
    headers = sorted((parse_header(part) for part in parts), key=lambda header: header.part)
    _check_same_frame(headers, partial)
    parsed = sorted((parse_part(part, epoch, listener) for part in parts), key=lambda pair: pair[0].part)
    first = headers[0]
    key_parts = tuple(part for _, part in parsed if isinstance(part, ParsedKeyPart))
    p_parts = tuple(part for _, part in parsed if isinstance(part, ParsedPPart))
    _check_ascending([(part.first_block, blocks_for(len(part.classes))) for part in key_parts])
    _check_ascending([(part.first_block, part.blocks) for part in p_parts])
    return ParsedFrame(first.epoch, first.number, first.kind, first.midpoint, first.hash16, key_parts, p_parts)


def _check_same_frame(headers: list[FrameHeader], partial: bool) -> None:
    """Raise BitstreamError unless headers, by part number, are those of one frame, or of part 0 and others."""
    if not headers:
        raise BitstreamError("a frame has at least 1 part, got 0")
    numbers = [header.part for header in headers]
    whole = numbers == list(range(headers[0].parts))
    if not whole and not (partial and numbers[0] == 0 and len(set(numbers)) == len(numbers)):
        raise BitstreamError(f"expected parts 0..{headers[0].parts - 1} of a frame, got {numbers}")
    first = replace(headers[0], hash16=None)
    for header in headers:
        own_layer = first.layer if (header.layer is None) == (first.layer is None) else header.layer
        if replace(header, part=0, hash16=None, layer=own_layer) != first:
            raise BitstreamError(f"parts of different frames: {first} and {header}")


def _check_ascending(ranges: list[tuple[int, int]]) -> None:
    """Raise BitstreamError where ranges (first block, blocks) overlap or go back: no frame may outgrow its epoch."""
    end = 0
    for first, blocks in ranges:
        if first < end:
            raise BitstreamError(f"a part's first block is {first}, those before it end at {end}")
        end = first + blocks


def frame_bits(parts: Sequence[bytes], epoch: EpochRecord) -> dict[str, float]:
    """Return how many bits of a frame's streams each element takes."""
    counter = CountingEncoder(parse_header(parts[0]).table_set if parts else 0)
    parse_frame(parts, epoch, counter)
    return counter.bits
