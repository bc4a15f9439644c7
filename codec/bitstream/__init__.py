"""The bitstream: bytes from and to commands, by SPEC.md."""

from codec.bitstream.epoch import pack_epoch, parse_epoch
from codec.bitstream.frame import frame_bits, parse_frame, parse_part, serialize_key, serialize_p
from codec.bitstream.header import MAX_PART_BYTES, FrameHeader, parse_header
from codec.bitstream.patch import ParsedPatchPart, apply_patch_part, make_patch, parse_patch_part, patch_heads

__all__ = [
    "MAX_PART_BYTES",
    "FrameHeader",
    "ParsedPatchPart",
    "apply_patch_part",
    "frame_bits",
    "make_patch",
    "pack_epoch",
    "parse_epoch",
    "parse_frame",
    "parse_header",
    "parse_part",
    "parse_patch_part",
    "patch_heads",
    "serialize_key",
    "serialize_p",
]
