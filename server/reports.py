"""Receiver reports (record kind 4): the full state of a subscriber's reception of one stream, each time."""

from dataclasses import dataclass, replace
from typing import TypeGuard

import msgpack

from codec.types import NUMBER_MODULUS
from server.errors import DatagramError

__all__ = ["MASK_BITS", "PatchProgress", "Report", "parse_report", "serialize_report"]

MASK_BITS = 64
MAX_FRAME_NUMBER = 2**48
MAX_PATCH_PARTS = 4096
AHEAD = 256  # frames a report may be ahead of what is published: a patch shows the state a moment before its frame


@dataclass(frozen=True)
class PatchProgress:
    """A patch of which some parts came and some did not."""

    since: int  # the frame it starts from, -1: from nothing
    to: int
    missing: tuple[int, ...]  # part numbers


@dataclass(frozen=True)
class Report:
    """What a receiver has of one stream."""

    epoch: int = -1  # -1: it knows nothing
    confirmed: int = -1  # exact up to this frame
    newest: int = -1  # the newest frame received
    mask: int = 0  # bit i: frame confirmed + 1 + i was received
    hash_bad: bool = False
    patch: PatchProgress | None = None
    client_ms: float = 0.0

    def unwrapped(self, newest: int) -> "Report":
        """Return the report with full frame numbers, given the newest frame published.

        The wire has numbers modulo 4096 (SPEC section 3): who joins late counts from the first one seen.
        """
        patch = self.patch
        return replace(
            self,
            confirmed=_unwrap(self.confirmed, newest),
            newest=_unwrap(self.newest, newest),
            patch=patch and replace(patch, since=_unwrap(patch.since, newest), to=_unwrap(patch.to, newest)),
        )


def _unwrap(number: int, newest: int) -> int:
    """Return the latest full number, not far ahead of the newest, that is this one modulo 4096; -1 stays none."""
    last = newest + AHEAD
    return -1 if number < 0 else max(-1, last - (last - number) % NUMBER_MODULUS)


def parse_report(body: bytes) -> Report:
    """Return the report in a record's body; raises DatagramError."""
    try:
        fields = msgpack.unpackb(body, raw=False, strict_map_key=True)
    except (ValueError, msgpack.UnpackException) as error:
        raise DatagramError("report is no msgpack", expected="a map", got=type(error).__name__) from None
    if not isinstance(fields, dict):
        raise DatagramError("report is no map", expected="a map", got=type(fields).__name__)
    hash_bad = fields.get("hash_bad", False)
    if not isinstance(hash_bad, bool):
        raise DatagramError("report field hash_bad", expected="true or false", got=type(hash_bad).__name__)
    client_ms = fields.get("t", 0.0)
    if isinstance(client_ms, bool) or not isinstance(client_ms, int | float):
        raise DatagramError("report field t", expected="a number", got=type(client_ms).__name__)
    return Report(
        epoch=_integer(fields, "epoch", -1, 65535),
        confirmed=_integer(fields, "confirmed", -1, MAX_FRAME_NUMBER),
        newest=_integer(fields, "newest", -1, MAX_FRAME_NUMBER),
        mask=_integer(fields, "mask", 0, 2**MASK_BITS - 1),
        hash_bad=hash_bad,
        patch=_patch(fields.get("patch")),
        client_ms=float(client_ms),
    )


def serialize_report(report: Report) -> bytes:
    """Return the body of a record with this report."""
    patch = report.patch
    fields = {
        "epoch": report.epoch,
        "confirmed": report.confirmed,
        "newest": report.newest,
        "mask": report.mask,
        "hash_bad": report.hash_bad,
        "patch": None if patch is None else [patch.since, patch.to, list(patch.missing)],
        "t": report.client_ms,
    }
    data: bytes = msgpack.packb(fields)
    return data


def _integer(fields: dict[object, object], name: str, low: int, high: int) -> int:
    """Return an integer field within its range."""
    value = fields.get(name)
    if not _is_integer(value) or not low <= value <= high:
        raise DatagramError(f"report field {name}", expected=f"an integer {low}..{high}", got=ascii(value)[:80])
    return value


def _is_integer(value: object) -> TypeGuard[int]:
    """Tell whether a value is an integer and no truth value."""
    return isinstance(value, int) and not isinstance(value, bool)


def _patch(value: object) -> PatchProgress | None:
    """Return the progress of a patch from its array."""
    if value is None:
        return None
    if isinstance(value, list) and len(value) == 3 and isinstance(value[2], list) and len(value[2]) <= MAX_PATCH_PARTS:
        since, to, missing = value
        if _is_integer(since) and _is_integer(to) and all(_is_integer(part) for part in missing):
            return PatchProgress(since, to, tuple(missing))
    raise DatagramError("report field patch", expected="[from, to, [missing parts]] or nil", got=ascii(value)[:80])
