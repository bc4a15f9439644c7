"""The file container: round trips, seeks, sizes, damaged files."""

import io

import numpy as np
import pytest

from codec.bitstream import make_patch, pack_epoch, parse_frame, serialize_key, serialize_p
from codec.bitstream.container import (
    RECORD_EPOCH,
    RECORD_FRAME,
    RECORD_PATCH,
    SplatvInfo,
    SplatvReader,
    SplatvWriter,
    join_parts,
    split_parts,
)
from codec.decoder import Decoder
from codec.errors import BitstreamError, StreamStateError
from codec.state import apply_frame, state_hash
from codec.types import EpochRecord, SplatState
from tests.vectors.generate import random_births, random_key, random_updates

INFO = SplatvInfo((30, 1), 150, 110)
Frames = list[tuple[bytes, ...]]


def write_clip(patch_every: int | None = None) -> tuple[bytes, Frames, list[int]]:
    """Return a file of two epochs of 8 frames, its frames and the hash after each."""
    rng = np.random.default_rng(1)
    stream = io.BytesIO()
    writer = SplatvWriter(stream, INFO)
    frames: Frames = []
    hashes = []
    for number in range(16):
        if number % 8 == 0:
            epoch = EpochRecord(number // 8, 150, 110, (30, 1), (9,))
            state = SplatState.empty(epoch)
            state.frame_number = number - 1
            writer.write_epoch(pack_epoch(epoch))
            parts = serialize_key(epoch, number, random_key(rng, epoch, 130), max_part_bytes=400)
        else:
            commands = random_updates(rng, state, 20 * number, 2)
            commands.births = random_births(rng, epoch, 3, 9)
            parts = serialize_p(state, number, commands, max_part_bytes=300)
        apply_frame(state, parse_frame(parts, epoch))
        writer.write_frame(parts)
        frames.append(parts)
        hashes.append(state_hash(state))
        if patch_every and number % patch_every == patch_every - 1:
            writer.write_patch(make_patch(state, None, -1))
    writer.close()
    assert writer.size_bytes == len(stream.getvalue())
    return stream.getvalue(), frames, hashes


def test_records_come_back_in_order() -> None:
    data, frames, _ = write_clip(patch_every=3)
    reader = SplatvReader(io.BytesIO(data))
    assert reader.info == INFO
    assert reader.index.pictures == 16
    records = list(reader.records())
    assert [split_parts(record.body) for record in records if record.kind == RECORD_FRAME] == frames
    kinds = [record.kind for record in records]
    assert kinds.count(RECORD_EPOCH) == 2
    assert kinds.count(RECORD_PATCH) == 5
    assert kinds[:5] == [RECORD_EPOCH, RECORD_FRAME, RECORD_FRAME, RECORD_FRAME, RECORD_PATCH]


@pytest.mark.parametrize("patch_every", [None, 3])
def test_every_frame_can_be_sought(patch_every: int | None) -> None:
    data, _, hashes = write_clip(patch_every)
    reader = SplatvReader(io.BytesIO(data))
    for target, expected in enumerate(hashes):
        epoch, patch, next_frame = reader.start_for(target)
        decoder = Decoder()
        decoder.push_epoch(epoch.body)
        if patch is not None:
            decoder.push_patch(reader.patch_parts(patch))
        assert patch_every is None or target - next_frame < patch_every
        records = (r for r in reader.records(reader.end_of(patch or epoch)) if r.kind == RECORD_FRAME)
        while next_frame <= target:
            decoder.push_frame(split_parts(next(records).body))
            next_frame += 1
        assert state_hash(decoder.state) == expected
    with pytest.raises(BitstreamError, match=r"frames are 0\.\.15"):
        reader.start_for(16)


def test_the_container_costs_little() -> None:
    """At most 2 bytes a frame and 200 over the frames themselves, one epoch record included."""
    rng = np.random.default_rng(2)
    epoch = EpochRecord(0, 150, 110, (30, 1), (20,))
    state = SplatState.empty(epoch)
    for part_bytes in (1147, 150):
        stream = io.BytesIO()
        writer = SplatvWriter(stream, INFO)
        writer.write_epoch(pack_epoch(epoch))
        total = len(pack_epoch(epoch))
        for number in range(60):
            if number == 0:
                parts = serialize_key(epoch, 0, random_key(rng, epoch, 200), max_part_bytes=part_bytes)
            else:
                parts = serialize_p(state, number, random_updates(rng, state, 3 * number, 2), max_part_bytes=part_bytes)
            writer.write_frame(parts)
            total += sum(map(len, parts))
        writer.close()
        assert len(stream.getvalue()) - total <= 2 * 60 + 200


@pytest.mark.parametrize("layers", [(9,), (5, 5)])
def test_parts_are_joined_and_split(layers: tuple[int, ...]) -> None:
    rng = np.random.default_rng(3)
    epoch = EpochRecord(0, 150, 110, (30, 1), layers)
    state = SplatState.empty(epoch)
    for hash16 in (None, 77):
        for size in (65000, 200):
            parts = serialize_p(state, 1, random_updates(rng, state, 200, 2), max_part_bytes=size, hash16=hash16)
            body = join_parts(parts)
            assert split_parts(body) == parts
            if len(parts) > 1:
                for length in range(4, len(body), 7):
                    with pytest.raises(BitstreamError):
                        split_parts(body[:length])
                with pytest.raises(BitstreamError, match="1 bytes too many"):
                    split_parts(body + b"\0")


def test_a_file_without_its_end_is_scanned() -> None:
    data, _, _ = write_clip(patch_every=4)
    whole = SplatvReader(io.BytesIO(data)).index
    cut = SplatvReader(io.BytesIO(data[:-1])).index
    assert cut == whole
    last = SplatvReader(io.BytesIO(data[: whole.patches[-1][1] - 5]))
    assert last.index.pictures == 15
    with pytest.raises(BitstreamError, match="file truncated"):
        list(last.records())


def test_truncated_at_every_length() -> None:
    data, _, _ = write_clip()
    for length in [*range(300), *range(300, len(data), 37)]:
        try:
            reader = SplatvReader(io.BytesIO(data[:length]))
            for record in reader.records():
                if record.kind == RECORD_FRAME:
                    split_parts(record.body)
        except BitstreamError:
            continue


def test_corrupted_files_are_refused_or_read() -> None:
    data, _, _ = write_clip(patch_every=4)
    rng = np.random.default_rng(4)
    for _ in range(150):
        damaged = bytearray(data)
        for _ in range(3):
            damaged[int(rng.integers(8, len(data)))] = int(rng.integers(0, 256))
        damaged[-int(rng.integers(1, 60))] = int(rng.integers(0, 256))
        try:
            reader = SplatvReader(io.BytesIO(bytes(damaged)))
            for record in reader.records():
                if record.kind == RECORD_FRAME:
                    split_parts(record.body)
                elif record.kind == RECORD_PATCH:
                    reader.patch_parts(record)
            reader.start_for(9)
        except BitstreamError:
            continue


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a .splatv file"),
        (b"RIFF\0\0\0\0AVI ", "not a .splatv file"),
        (b"SPLV\x02\x0a\x1a\x00", "not a .splatv file"),
        (b"SPLV\x01\x0a\x1a\x00", "begins with a header record"),
        (b"SPLV\x01\x0a\x1a\x00\xff\xff\xff\xff\x7f", "at most 4 bytes"),
        (b"SPLV\x01\x0a\x1a\x00\xfc\xff\xff\x7f", "at most 16777216 bytes"),
        (b"SPLV\x01\x0a\x1a\x00\xfc\x01", "file truncated"),
        (b"SPLV\x01\x0a\x1a\x00\x04\xc0", "expected one map"),
        (b"SPLV\x01\x0a\x1a\x00\x04\x80", "fps: expected"),
    ],
)
def test_what_is_no_file_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(BitstreamError, match=message):
        SplatvReader(io.BytesIO(data))


def test_a_patch_needs_a_frame_before_it() -> None:
    with pytest.raises(StreamStateError, match="frame before"):
        SplatvWriter(io.BytesIO(), INFO).write_patch((b"",))
