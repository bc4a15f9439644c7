"""Peers through PyAV: every one codes a small clip with one key frame, and counts what a call would send."""

import os
from fractions import Fraction

import numpy as np
import pytest

from codec.bench.figures import mean_luma_psnr_db
from codec.bench.libav_peers import LIBAV_PEERS, LibavPeer, nal_units, sent_bytes
from codec.bench.peers import Ladder
from codec.media import RgbPicture

PEERS = [peer for peers in LIBAV_PEERS.values() for peer in peers]


def moving_waves(frames: int = 5, width: int = 96, height: int = 80) -> list[RgbPicture]:
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    shades = (np.sin((x + 2 * shift) / 9 + y / 7) for shift in range(frames))
    return [np.stack([127 + 100 * shade, 127 + 60 * shade, 90 - 60 * shade], -1).astype(np.uint8) for shade in shades]


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_codes_a_clip(peer: LibavPeer) -> None:
    assert peer.missing() is None
    pictures = moving_waves()
    scheduling = os.sched_getscheduler(0)
    coarse, *_, fine = (peer.encode(pictures, Fraction(25), quality) for quality in peer.ladder.start[::5])
    assert len(fine.sizes_bytes) == len(fine.packets) == len(fine.pictures) == len(pictures)
    assert sum(coarse.sizes_bytes) < sum(fine.sizes_bytes)
    assert mean_luma_psnr_db(coarse.pictures, pictures) < mean_luma_psnr_db(fine.pictures, pictures)
    assert mean_luma_psnr_db(fine.pictures, pictures) > 28
    assert fine.sizes_bytes[0] > max(fine.sizes_bytes[1:])
    assert fine.wall_s > 0
    assert os.sched_getscheduler(0) == scheduling


def test_names_what_this_build_lacks() -> None:
    peer = LibavPeer("x", "libnone", "h264", (), Ladder((1.0,), 1, 0, 1))
    assert peer.missing() == "this build of PyAV has no encoder libnone"


def test_nal_units_of_a_byte_stream() -> None:
    assert list(nal_units(b"\0\0\0\1\x67ab\0\0\1\x68c\0\0\0\1\x65de\0\0")) == [b"\x67ab", b"\x68c", b"\x65de"]
    assert list(nal_units(b"")) == []


def test_counts_parameter_sets_but_neither_start_codes_nor_x264s_settings() -> None:
    stream = b"\0\0\0\1\x67abc\0\0\0\1\x06long text\0\0\1\x65picture"
    assert sent_bytes("h264", stream) == 4 + 8
    assert sent_bytes("hevc", stream) == 4 + 10 + 8
    assert sent_bytes("vp8", stream) == len(stream)
    assert sent_bytes("libdav1d", b"\x12\x00frame") == 5
    assert sent_bytes("libdav1d", b"frame") == 5
