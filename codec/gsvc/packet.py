"""Frames of the gsvc profile to bytes and back (SPEC section 10); both directions share one walk over the symbols."""

import struct
from dataclasses import dataclass

import numpy as np

from codec.bitstream.counted import CountedDecoder, CountedEncoder
from codec.errors import BitstreamError
from codec.gsvc.lattice import PARAMETERS, Lattice, mean_range
from codec.gsvc.models import Coder, SpikeModel, code_gaps, code_values, fit_model, value_bits
from codec.types import BoolArray, IntArray

__all__ = ["KeyPacket", "Models", "PPacket", "is_key", "parse_key", "parse_p", "serialize_key", "serialize_p"]

Size = tuple[int, int]  # width, height

_KEY_HEAD = struct.Struct(">BHHH4B")  # kind, width, height, splats, steps
_P_HEAD = struct.Struct(">BHH")  # kind and flag, deaths, births
_KEY_MODEL = struct.Struct(">BBh")
_KIND_KEY, _KIND_P, _NEW_MODELS = 0, 1, 2
_ORDER = (5, 2, 3, 4, 0, 1, 6, 7)  # in which a P-frame codes its planes: luma, shape, means, chroma
_GROUPS = (0, 0, 1, 1, 1, 2, 3, 3)  # of a parameter: mean, shape, luma, chroma
_ACTIVITIES = 3  # a plane's contexts: how many of a splat's earlier planes changed, up to 2
_MAX_SIDE_PX = 4096
_MAX_SPLATS = 65535


@dataclass
class Models:
    """The tables in force: of absolute fields 1 (gaps of y) to 7, and of changes by group and activity."""

    absolute: tuple[SpikeModel, ...] = (SpikeModel(),) * (PARAMETERS - 1)
    changes: tuple[SpikeModel, ...] = (SpikeModel(),) * (4 * _ACTIVITIES)


@dataclass(frozen=True)
class KeyPacket:
    """A key frame: everything anew."""

    width_px: int
    height_px: int
    lattice: Lattice
    fields: IntArray  # [n, 8], ascending in field 1


@dataclass(frozen=True)
class PPacket:
    """What a P-frame does: splats that go, changes of those that stay, splats that come after them."""

    deaths: IntArray  # [d] ascending
    changes: IntArray  # [n - d, 8]
    births: IntArray  # [b, 8], ascending in field 1


def is_key(packet: bytes) -> bool:
    """Say whether a packet is a key frame."""
    return packet[:1] == bytes([_KIND_KEY])


def serialize_key(packet: KeyPacket, models: Models) -> bytes:
    """Return a key frame's bytes and put its tables in force."""
    gaps = _gaps(packet.fields[:, 1])
    columns = [gaps, *(packet.fields[:, k] for k in range(2, PARAMETERS))]
    models.absolute = tuple(fit_model(column, centred=True) for column in columns)
    models.changes = Models().changes
    steps = packet.lattice
    count = len(packet.fields)
    head = _KEY_HEAD.pack(
        _KIND_KEY, packet.width_px, packet.height_px, count, steps.mean, steps.shape, steps.luma, steps.chroma
    )
    tables = b"".join(_KEY_MODEL.pack(model.spike, model.decay, model.centre) for model in models.absolute)
    coder = CountedEncoder()
    _code_key(coder, models, packet.fields, steps, packet.width_px)
    return head + tables + coder.finish()


def parse_key(data: bytes, models: Models) -> KeyPacket:
    """Return what a key frame's bytes say and put its tables in force; raises BitstreamError."""
    start = _KEY_HEAD.size + (PARAMETERS - 1) * _KEY_MODEL.size
    if len(data) < start:
        raise BitstreamError(f"gsvc key frame truncated: need {start} bytes, have {len(data)}")
    kind, width, height, count, *steps = _KEY_HEAD.unpack_from(data)
    if kind != _KIND_KEY:
        raise BitstreamError(f"gsvc: expected a key frame, got kind {kind}")
    if not (1 <= width <= _MAX_SIDE_PX and 1 <= height <= _MAX_SIDE_PX and min(steps) > 0):
        raise BitstreamError(f"gsvc key frame: {width}x{height} px in steps of {steps} is not possible")
    lattice = Lattice(*steps)
    models.absolute = tuple(SpikeModel(*values) for values in _KEY_MODEL.iter_unpack(data[_KEY_HEAD.size : start]))
    models.changes = Models().changes
    fields = np.zeros((count, PARAMETERS), np.int32)
    fields = _code_key(CountedDecoder(data[start:]), models, fields, lattice, width)
    return KeyPacket(width, height, lattice, fields)


def serialize_p(packet: PPacket, models: Models, lattice: Lattice, size_px: Size) -> bytes:
    """Return a P-frame's bytes; new tables come along where they pay, and are then in force."""
    own = _fit_changes(packet.changes)
    renewed = _change_bits(packet.changes, models.changes) > _change_bits(packet.changes, own) + 16 * len(own)
    if renewed:
        models.changes = own
    kind = _KIND_P | (_NEW_MODELS if renewed else 0)
    head = _P_HEAD.pack(kind, len(packet.deaths), len(packet.births))
    if renewed:
        head += bytes(value for model in own for value in (model.spike, model.decay))
    coder = CountedEncoder()
    _code_p(coder, models, packet, lattice, size_px)
    return head + coder.finish()


def parse_p(data: bytes, models: Models, splats: int, lattice: Lattice, size_px: Size) -> PPacket:
    """Return what a P-frame's bytes say to a state of `splats`; raises BitstreamError."""
    if len(data) < _P_HEAD.size:
        raise BitstreamError(f"gsvc P-frame truncated: need {_P_HEAD.size} bytes, have {len(data)}")
    kind, deaths, births = _P_HEAD.unpack_from(data)
    if kind & ~_NEW_MODELS != _KIND_P or deaths > splats:
        raise BitstreamError(f"gsvc: expected a P-frame with at most {splats} deaths, got kind {kind} with {deaths}")
    if splats - deaths + births > _MAX_SPLATS:
        raise BitstreamError(f"gsvc P-frame: at most {_MAX_SPLATS} splats, got {splats - deaths + births}")
    start = _P_HEAD.size
    if kind & _NEW_MODELS:
        start += 2 * len(models.changes)
        pairs = data[_P_HEAD.size : start]
        if len(pairs) < start - _P_HEAD.size:
            raise BitstreamError(f"gsvc P-frame truncated: need {start} bytes, have {len(data)}")
        models.changes = tuple(SpikeModel(*pair) for pair in zip(pairs[::2], pairs[1::2], strict=True))
    empty = PPacket(
        np.zeros(deaths, np.int32),
        np.zeros((splats - deaths, PARAMETERS), np.int32),
        np.zeros((births, PARAMETERS), np.int32),
    )
    packet = _code_p(CountedDecoder(data[start:]), models, empty, lattice, size_px)
    if deaths and (packet.deaths[-1] >= splats or np.any(np.diff(packet.deaths) < 1)):
        raise BitstreamError(f"gsvc P-frame: expected {deaths} of {splats} splats to die, each once")
    return packet


def _code_absolute(coder: Coder, models: Models, fields: IntArray, lattice: Lattice, width_px: int) -> IntArray:
    """Code all of fields [n, 8] but the second, which is as given."""
    coded = fields.copy()
    coded[:, 0] = _code_uniform(coder, mean_range(lattice, width_px), fields[:, 0])
    for k in range(2, PARAMETERS):
        coded[:, k] = code_values(coder, models.absolute[k - 1], fields[:, k])
    return coded


def _code_key(coder: Coder, models: Models, fields: IntArray, lattice: Lattice, width_px: int) -> IntArray:
    """Code fields [n, 8], ascending in field 1."""
    coded = fields.copy()
    coded[:, 1] = _sums(code_values(coder, models.absolute[0], _gaps(fields[:, 1])))
    return _code_absolute(coder, models, coded, lattice, width_px)


def _code_uniform(coder: Coder, size: int, values: IntArray) -> IntArray:
    """Code values [n] of 0 .. size - 1 as about equally likely."""
    upper = coder.uniform((size - 1 >> 8) + 1, values >> 8)
    return upper << 8 | coder.uniform(256, values & 255)


def _code_p(coder: Coder, models: Models, packet: PPacket, lattice: Lattice, size_px: Size) -> PPacket:
    """Code deaths, changes and births."""
    splats = len(packet.deaths) + len(packet.changes)
    gaps = code_gaps(coder, _gaps(packet.deaths), splats // max(1, len(packet.deaths)))
    deaths = _sums(gaps)
    changes = _code_changes(coder, models.changes, packet.changes)
    births = packet.births.copy()
    mean_gap = mean_range(lattice, size_px[1]) // max(1, len(births))
    births[:, 1] = _sums(code_gaps(coder, _gaps(births[:, 1]), mean_gap))
    return PPacket(deaths, changes, _code_absolute(coder, models, births, lattice, size_px[0]))


def _code_changes(coder: Coder, tables: tuple[SpikeModel, ...], changes: IntArray) -> IntArray:
    """Code changes [n, 8] plane by plane, each by how many of a splat's earlier planes changed."""
    coded = np.zeros_like(changes)
    activity = np.zeros(len(changes), np.int64)
    for k in _ORDER:
        for level in range(_ACTIVITIES):
            here = np.minimum(activity, _ACTIVITIES - 1) == level
            coded[here, k] = code_values(coder, tables[_GROUPS[k] * _ACTIVITIES + level], changes[here, k])
        activity += coded[:, k] != 0
    return coded


def _planes(changes: IntArray) -> list[list[tuple[int, BoolArray]]]:
    """Return for each table the parameters and splats that it codes."""
    users: list[list[tuple[int, BoolArray]]] = [[] for _ in range(4 * _ACTIVITIES)]
    activity = np.zeros(len(changes), np.int64)
    for k in _ORDER:
        for level in range(_ACTIVITIES):
            here = np.minimum(activity, _ACTIVITIES - 1) == level
            users[_GROUPS[k] * _ACTIVITIES + level].append((k, here))
        activity += changes[:, k] != 0
    return users


def _fit_changes(changes: IntArray) -> tuple[SpikeModel, ...]:
    """Return the tables that suit changes [n, 8]."""
    return tuple(fit_model(np.concatenate([changes[here, k] for k, here in users])) for users in _planes(changes))


def _change_bits(changes: IntArray, tables: tuple[SpikeModel, ...]) -> float:
    """Return about how many bits changes [n, 8] take by given tables."""
    return sum(
        value_bits(table, changes[here, k])
        for table, users in zip(tables, _planes(changes), strict=True)
        for k, here in users
    )


def _gaps(values: IntArray) -> IntArray:
    """Return the steps from value to value [n], the first from 0."""
    return np.diff(values, prepend=0).astype(np.int32)


def _sums(gaps: IntArray) -> IntArray:
    """Return the values [n] that gaps lead to, limited to 24 bits."""
    return gaps.astype(np.int64).cumsum().clip(-(1 << 24), (1 << 24) - 1).astype(np.int32)
