"""Packets of the gsvc profile: there and back, truncated, corrupted."""

import numpy as np
import pytest

from codec.errors import BitstreamError
from codec.gsvc.lattice import Lattice, dequantize, mean_range, quantize
from codec.gsvc.models import LIMIT, SpikeModel, fit_model, value_bits
from codec.gsvc.packet import KeyPacket, Models, PPacket, is_key, parse_key, parse_p, serialize_key, serialize_p
from codec.types import IntArray

SIZE = WIDTH, HEIGHT = 300, 200
LATTICE = Lattice()


def random_fields(seed: int, count: int) -> IntArray:
    """Return fields [count, 8] in a packet's order, a few of them far from the rest."""
    rng = np.random.default_rng(seed)
    means = rng.integers(0, [mean_range(LATTICE, WIDTH), mean_range(LATTICE, HEIGHT)], (count, 2))
    others = rng.laplace((20, 0, 20, 5, 0, 0), 12, (count, 6)).round()
    others[:: max(1, count // 3), 4] = 100000
    fields = np.concatenate([means, others], 1).astype(np.int32)
    return fields[np.lexsort((fields[:, 0], fields[:, 1]))]


def random_p(seed: int, splats: int) -> PPacket:
    rng = np.random.default_rng(seed)
    deaths = np.sort(rng.choice(splats, splats // 10, replace=False)).astype(np.int32)
    changes = (rng.laplace(0, 1, (splats - len(deaths), 8)).round() * (rng.random((1, 8)) < 0.6)).astype(np.int32)
    return PPacket(deaths, changes, random_fields(seed, splats // 20))


@pytest.mark.parametrize("count", [0, 1, 2, 700])
def test_key_there_and_back(count: int) -> None:
    fields, wrote, read = random_fields(count, count), Models(), Models()
    data = serialize_key(KeyPacket(WIDTH, HEIGHT, LATTICE, fields), wrote)
    assert is_key(data)
    packet = parse_key(data, read)
    assert (packet.width_px, packet.height_px, packet.lattice) == (WIDTH, HEIGHT, LATTICE)
    np.testing.assert_array_equal(packet.fields, fields)
    assert wrote == read


@pytest.mark.parametrize("splats", [0, 1, 30, 900])
def test_p_there_and_back(splats: int) -> None:
    wrote, read = Models(), Models()
    key = serialize_key(KeyPacket(WIDTH, HEIGHT, LATTICE, random_fields(1, splats)), wrote)
    parse_key(key, read)
    for seed in range(3):
        packet = random_p(seed, splats)
        data = serialize_p(packet, wrote, LATTICE, SIZE)
        assert not is_key(data)
        parsed = parse_p(data, read, splats, LATTICE, SIZE)
        for name in ("deaths", "changes", "births"):
            np.testing.assert_array_equal(getattr(parsed, name), getattr(packet, name))
        assert wrote == read


def test_nothing_to_say_is_short() -> None:
    empty = np.zeros((0, 8), np.int32)
    packet = PPacket(np.zeros(0, np.int32), np.zeros((1000, 8), np.int32), empty)
    models = Models()
    assert len(serialize_p(packet, models, LATTICE, SIZE)) < 60
    assert len(serialize_p(packet, models, LATTICE, SIZE)) < 30  # the tables hold on


def test_truncated_at_every_length() -> None:
    models = Models()
    key = serialize_key(KeyPacket(WIDTH, HEIGHT, LATTICE, random_fields(2, 40)), models)
    change = serialize_p(random_p(2, 40), models, LATTICE, SIZE)
    for length in range(len(key)):
        try:
            parse_key(key[:length], Models())
        except BitstreamError:
            continue
    for length in range(len(change)):
        try:
            parse_p(change[:length], Models(), 40, LATTICE, SIZE)
        except BitstreamError:
            continue


def test_corrupted_packets_are_refused_or_read() -> None:
    models = Models()
    key = serialize_key(KeyPacket(WIDTH, HEIGHT, LATTICE, random_fields(3, 60)), models)
    change = serialize_p(random_p(3, 60), models, LATTICE, SIZE)
    rng = np.random.default_rng(3)
    for data in (key, change):
        for _ in range(150):
            damaged = bytearray(data)
            for _ in range(3):
                damaged[int(rng.integers(len(data)))] = int(rng.integers(256))
            try:
                if is_key(bytes(damaged)):
                    parse_key(bytes(damaged), Models())
                else:
                    packet = parse_p(bytes(damaged), Models(), 60, LATTICE, SIZE)
                    assert len(packet.deaths) + len(packet.changes) == 60
            except BitstreamError:
                continue


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "truncated"),
        (b"\x01\x00\x3d\x00\x00" + bytes(40), "at most 60 deaths"),
        (b"\x05\x00\x00\x00\x00" + bytes(40), "kind 5"),
        (b"\x01\x00\x00\xff\xff" + bytes(40), "at most 65535 splats"),
        (b"\x03\x00\x00\x00\x00" + bytes(3), "truncated"),
    ],
)
def test_p_frames_that_are_none(data: bytes, expected: str) -> None:
    with pytest.raises(BitstreamError, match=expected):
        parse_p(data, Models(), 60, LATTICE, SIZE)


@pytest.mark.parametrize("place", [1, 3, 7])
def test_impossible_key_frames(place: int) -> None:
    data = bytearray(serialize_key(KeyPacket(WIDTH, HEIGHT, LATTICE, random_fields(4, 9)), Models()))
    data[place : place + 2] = b"\0\0"
    with pytest.raises(BitstreamError, match="not possible"):
        parse_key(bytes(data), Models())


def test_fields_are_the_nearest_on_the_lattice() -> None:
    fields = random_fields(5, 50)
    fields[:, 2:] = fields[:, 2:].clip(-15, 75)  # else they saturate
    rows = dequantize(fields, LATTICE)
    rows += np.random.default_rng(5).uniform(-0.4, 0.4, rows.shape).astype(np.float32) * LATTICE.steps()
    np.testing.assert_array_equal(quantize(rows, LATTICE, WIDTH, HEIGHT)[1:-1], fields[1:-1])


@pytest.mark.parametrize(
    "model", [SpikeModel(), SpikeModel(255, 255), SpikeModel(0, 255), SpikeModel(255, 0), SpikeModel(90, 200)]
)
def test_counts_are_a_table(model: SpikeModel) -> None:
    counts = model.counts()
    assert (len(counts), int(counts.sum())) == (2 * LIMIT + 2, 1 << 24)
    assert counts.min() >= 1


def test_a_fitted_model_costs_about_the_entropy() -> None:
    values = np.random.default_rng(6).laplace(0, 6, 5000).round().astype(np.int32) + 40
    _, counts = np.unique(values, return_counts=True)
    entropy = -(counts * np.log2(counts / 5000)).sum()
    assert value_bits(fit_model(values, centred=True), values) < 1.03 * entropy
