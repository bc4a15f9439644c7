"""The epoch record and the msgpack checks under it."""

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.bitstream.epoch import pack_epoch, parse_epoch
from codec.bitstream.msgpack_fields import pack
from codec.errors import BitstreamError, StreamStateError
from codec.types import EpochRecord, Steps

EPOCH = EpochRecord(513, 641, 359, (30000, 1001), (40, 12), 64, Steps(4, 5, 6, 7, (1, 2, 4, 8, 128), 9, 10, 11, 12))


def test_every_field_comes_back() -> None:
    assert parse_epoch(pack_epoch(EPOCH)) == EPOCH
    assert parse_epoch(pack_epoch(EpochRecord(0, 1, 1, (1, 1), (1,)))) == EpochRecord(0, 1, 1, (1, 1), (1,))


def test_unknown_keys_are_ignored() -> None:
    fields = msgpack.unpackb(pack_epoch(EPOCH))
    assert parse_epoch(pack({**fields, "news": [1, {}]})) == EPOCH


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("v", 2, "expected v = 1, got 2"),
        ("tables", 7, "expected tables = 1"),
        ("epoch", 65536, "epoch: expected a whole number of 0..65535"),
        ("w", 0, "w: expected"),
        ("h", 4097, "h: expected"),
        ("w", 3.0, "w: expected"),
        ("w", True, "w: expected"),
        ("fps", [30], "fps: expected a list of 2..2"),
        ("fps", [0, 1], "fps: expected"),
        ("layers", [], "layers: expected a list"),
        ("layers", [1] * 5, "layers: expected a list"),
        ("layers", [1000, 25], "at most 1024 blocks, got 1025"),
        ("base", 8, "base: expected"),
        ("steps", None, "steps: expected a map"),
        ("steps", {}, "key_mean: expected a list"),
        ("steps", {"key_mean": [1, 2, 3, 4, 8]}, "powers of two"),
        ("steps", {"key_mean": [1, 2, 4, 4, 8], "mean": 0}, "mean: expected"),
    ],
)
def test_fields_out_of_range_are_refused(key: str, value: object, message: str) -> None:
    fields = msgpack.unpackb(pack_epoch(EPOCH))
    with pytest.raises(BitstreamError, match=message):
        parse_epoch(pack({**fields, key: value}))


def test_what_a_decoder_refuses_is_not_packed() -> None:
    with pytest.raises(StreamStateError, match="layers"):
        pack_epoch(EpochRecord(1, 64, 64, (30, 1), ()))


def test_truncated_and_trailing_bytes_are_refused() -> None:
    packed = pack_epoch(EPOCH)
    for length in range(len(packed)):
        with pytest.raises(BitstreamError):
            parse_epoch(packed[:length])
    with pytest.raises(BitstreamError, match="expected one map"):
        parse_epoch(packed + b"\0")
    with pytest.raises(BitstreamError, match="at most 1024 bytes"):
        parse_epoch(packed + bytes(1024))


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_or_parsed(data: bytes) -> None:
    try:
        epoch = parse_epoch(data)
    except BitstreamError:
        return
    assert parse_epoch(pack_epoch(epoch)) == epoch
