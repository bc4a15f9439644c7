"""The epoch record from and to msgpack (SPEC section 2)."""

from codec.bitstream.header import MAX_LAYERS
from codec.bitstream.msgpack_fields import integer, integers, pack, unpack_map
from codec.errors import BitstreamError, StreamStateError
from codec.types import EpochRecord, Steps

__all__ = ["MAX_BLOCKS", "MAX_EPOCH_BYTES", "pack_epoch", "parse_epoch"]

BITSTREAM_VERSION = 1
TABLES_VERSION = 1
MAX_BLOCKS = 1024
MAX_EPOCH_BYTES = 1024
_MAX_PICTURE_PX = 4096
_MAX_STEP = 1024
_MAX_MEAN_STEP = 128
_BASE_SPACING_PX = 16, 256
_KEY_STEPS = ("key_scale", "key_shape", "key_luma", "key_chroma")
_P_STEPS = ("mean", "shape", "luma", "chroma")


def pack_epoch(epoch: EpochRecord) -> bytes:
    """Return the bytes of an epoch record; raises StreamStateError where a decoder would refuse it."""
    steps = epoch.steps
    names = (*_P_STEPS, *_KEY_STEPS)
    packed = pack(
        {
            "v": BITSTREAM_VERSION,
            "epoch": epoch.epoch,
            "w": epoch.width_px,
            "h": epoch.height_px,
            "fps": list(epoch.fps),
            "layers": list(epoch.layers),
            "base": epoch.base_spacing_px,
            "steps": {**{name: getattr(steps, name) for name in names}, "key_mean": list(steps.key_mean)},
            "tables": epoch.tables,
        }
    )
    try:
        parse_epoch(packed)
    except BitstreamError as error:
        raise StreamStateError(f"epoch record out of range: {error}") from error
    return packed


def parse_epoch(data: bytes) -> EpochRecord:
    """Return the epoch record that bytes hold; raises BitstreamError. Unknown keys are ignored."""
    fields = unpack_map(data, "epoch record", MAX_EPOCH_BYTES)
    for key, version in (("v", BITSTREAM_VERSION), ("tables", TABLES_VERSION)):
        if fields.get(key) != version:
            raise BitstreamError(f"epoch record: expected {key} = {version}, got {fields.get(key)!r:.40}")
    layers = integers(fields.get("layers"), range(1, MAX_LAYERS + 1), 1, MAX_BLOCKS, "layers")
    if sum(layers) > MAX_BLOCKS:
        raise BitstreamError(f"layers: at most {MAX_BLOCKS} blocks, got {sum(layers)}")
    numerator, denominator = integers(fields.get("fps"), range(2, 3), 1, 65535, "fps")
    return EpochRecord(
        epoch=integer(fields.get("epoch"), 0, 65535, "epoch"),
        width_px=integer(fields.get("w"), 1, _MAX_PICTURE_PX, "w"),
        height_px=integer(fields.get("h"), 1, _MAX_PICTURE_PX, "h"),
        fps=(numerator, denominator),
        layers=layers,
        base_spacing_px=integer(fields.get("base"), *_BASE_SPACING_PX, "base"),
        steps=_parse_steps(fields.get("steps")),
    )


def _parse_steps(value: object) -> Steps:
    """Return the steps of an epoch record."""
    if not isinstance(value, dict):
        raise BitstreamError(f"steps: expected a map, got {type(value).__name__}")
    key_mean = integers(value.get("key_mean"), range(5, 6), 1, _MAX_MEAN_STEP, "key_mean")
    if any(step & (step - 1) for step in key_mean):
        raise BitstreamError(f"key_mean: expected powers of two, got {key_mean}")
    mean, shape, luma, chroma = (integer(value.get(name), 1, _MAX_STEP, name) for name in _P_STEPS)
    scale, key_shape, key_luma, key_chroma = (integer(value.get(name), 1, _MAX_STEP, name) for name in _KEY_STEPS)
    a, b, c, d, e = key_mean
    return Steps(mean, shape, luma, chroma, (a, b, c, d, e), scale, key_shape, key_luma, key_chroma)
