"""Planes of symbols to and from bytes, by constriction's range coder (SPEC section 4).

Encoders and the decoder share one interface, so that a syntax is written once: a method gets the values and returns
them; the decoder looks at their shape only and returns what the stream holds. Beside the coder that makes bytes there
is one that counts bits (and `recording.py` has one that keeps symbols for training).
"""

from abc import ABC, abstractmethod
from functools import cache
from typing import Any, ClassVar

import constriction
import numpy as np
import numpy.typing as npt

from codec.bitstream.tables import (
    FIRST_ROW,
    PRECISION_BITS,
    ROW_ENTRY,
    TABLES,
    TOTAL_COUNT,
    WIDE_NAMES,
    CountArray,
    cost_tables,
    entry_costs,
    table_set,
)
from codec.errors import BitstreamError, StreamStateError
from codec.types import FloatArray, IntArray

__all__ = [
    "MAX_INT",
    "MAX_WIDE",
    "Contexts",
    "CountingEncoder",
    "PlaneCoder",
    "PlaneDecoder",
    "PlaneEncoder",
]

MAX_INT = 16383
MAX_WIDE = (1 << PRECISION_BITS) - 1
_NO_INTERVAL = "the stream is not one that a range coder makes: its number lies in no symbol's interval"
_LOW_BITS = 12
_WORD_BITS = 32
_STATE_BITS = 64

Model = Any  # constriction ships no types
Contexts = int | npt.NDArray[np.signedinteger[Any]]  # one for all symbols, or [n]


@cache
def _table_models(number: int) -> dict[str, tuple[Model, ...]]:
    """Return one coder model for each context of each table of a set; probabilities of n/2^24 are kept exactly."""
    return {name: tuple(exact_model(row) for row in counts) for name, counts in table_set(number).items()}


@cache
def _row_models(number: int) -> tuple[Model, ...]:
    """Return the models of all rows of a set."""
    return tuple(model for models in _table_models(number).values() for model in models)


@cache
def _uniform_model(size: int) -> Model:
    """Return the model whose symbol k has the interval [k 2^24 // size, (k + 1) 2^24 // size)."""
    edges = np.arange(size + 1, dtype=np.int64) * TOTAL_COUNT // size
    return exact_model(np.diff(edges))


def exact_model(counts: CountArray) -> Model:
    """Return a model with exactly these counts, which sum to 2^24."""
    return constriction.stream.model.Categorical(counts / TOTAL_COUNT, perfect=True)


def shortest_stream(coder: Model) -> bytes:
    """Return a range encoder's bytes: of all numbers that a decoder takes for them the one with most trailing zeros."""
    words = coder.get_compressed()
    flushed_words, (lower, size) = coder.pos()
    total_bits = _WORD_BITS * flushed_words + _STATE_BITS
    number = int.from_bytes(words.astype(">u4").tobytes(), "big") << total_bits - _WORD_BITS * len(words)
    # `number` lies in [start, start + size) and start is `lower` modulo 2^64
    start = number - ((number - lower) & ((1 << _STATE_BITS) - 1))
    zeros = _STATE_BITS
    while (-(-start >> zeros) << zeros) >= start + size:
        zeros -= 1
    best: int = -(-start >> zeros) << zeros
    return best.to_bytes(total_bits // 8, "big").rstrip(b"\0")


class PlaneCoder(ABC):
    """What encoders and the decoder have in common: how planes become runs of symbols of one table."""

    decodes: ClassVar[bool] = False

    @abstractmethod
    def _run(self, name: str, context: int, symbols: IntArray) -> IntArray:
        """Code symbols [n] by one context of a table."""

    @abstractmethod
    def _run_one(self, name: str, context: int, symbol: int) -> int:
        """Code one symbol by one context of a table."""

    @abstractmethod
    def _uniform_run(self, label: str, size: int, symbols: IntArray) -> IntArray:
        """Code symbols [n] of 0..size-1 as equally likely."""

    def table(self, name: str, contexts: Contexts, symbols: IntArray) -> IntArray:
        """Code a plane of symbols [n] with one context for all or contexts [n]."""
        if isinstance(contexts, int):
            return self._run(name, contexts, symbols) if len(symbols) else symbols
        if not len(symbols):
            return symbols
        order = contexts.astype(np.uint8).argsort(kind="stable")
        ordered = symbols[order]
        runs, start = [], 0
        for context, count in enumerate(np.bincount(contexts).tolist()):
            if count:
                runs.append(self._run(name, context, ordered[start : start + count]))
                start += count
        if not self.decodes:
            return symbols
        coded = np.empty(len(symbols), np.int32)
        coded[order] = runs[0] if len(runs) == 1 else np.concatenate(runs)
        return coded

    def planes(self, name: str, places: IntArray, contexts: IntArray, symbols: IntArray) -> None:
        """Encode planes of which all is known, one after another; places: [n] the plane of each symbol, ascending."""
        starts = np.flatnonzero(np.diff(places, prepend=-1))
        for own, plane in zip(np.split(contexts, starts)[1:], np.split(symbols, starts)[1:], strict=True):
            self.table(name, own, plane)

    def row(self, name: str, contexts: list[int], symbols: list[int]) -> list[int]:
        """Code a plane of few symbols, as `table` does, without the overhead of arrays."""
        coded = [0] * len(symbols)
        for context, place in sorted(zip(contexts, range(len(contexts)), strict=True)):
            coded[place] = self._run_one(name, context, symbols[place])
        return coded

    def ints(self, name: str, contexts: Contexts, values: IntArray) -> IntArray:
        """Code a plane of signed values [n], magnitudes up to 16383; those beyond the table's range by an escape."""
        limit = TABLES[name].limit
        assert limit is not None, name
        if not len(values):
            return values
        escape = 2 * limit + 1
        if self.decodes:
            symbols = self.table(name, contexts, values)
        else:
            symbols = values + np.int32(limit)
            outside = symbols.view(np.uint32) >= escape
            if outside.any():
                _check_ints(name, values)
                symbols[outside] = escape
            self.table(name, contexts, symbols)
        escapes = (symbols == escape).nonzero()[0]
        coded = symbols - np.int32(limit)
        if len(escapes):
            beyond = np.zeros_like(escapes) if self.decodes else np.abs(values[escapes]) - limit - 1
            folded = self.wide("escape", 2 * beyond + (values[escapes] < 0))
            magnitudes = np.minimum((folded >> 1) + limit + 1, MAX_INT)
            coded[escapes] = np.where(folded & 1, -magnitudes, magnitudes)
        return coded

    def uniform(self, label: str, size: int, symbols: IntArray) -> IntArray:
        """Code a plane of equally likely symbols [n] of 0..size-1; the label is for those who count."""
        if size == 1 or not len(symbols):
            return np.zeros(len(symbols), np.int32)
        return self._uniform_run(label, size, symbols)

    def wide(self, label: str, values: IntArray) -> IntArray:
        """Code a plane of values [n] of 0 .. 2^24 - 1 by their bit lengths."""
        values = np.zeros(len(values), np.int32) if self.decodes else values.astype(np.int32)
        lengths = self.table("wide", WIDE_NAMES.index(label), _bit_lengths(values))
        coded = np.minimum(lengths, 1)
        for length in np.bincount(lengths).nonzero()[0].tolist():
            if length < 2:
                continue
            places = (lengths == length).nonzero()[0]
            low = values[places] & ((1 << length - 1) - 1)
            coded[places] = (1 << length - 1) | self._low_bits(label, length - 1, low)
        return coded

    def wides(self, label: str, values: IntArray) -> IntArray:
        """Code a plane of signed values [n], magnitudes below 2^23."""
        folded = self.wide(label, 2 * np.abs(values) - (values < 0))
        return np.where(folded & 1, -(folded + 1 >> 1), folded >> 1)

    def _low_bits(self, label: str, bits: int, values: IntArray) -> IntArray:
        """Code values [n] of the same number of bits as equally likely."""
        if bits <= _LOW_BITS:
            return self.uniform(label, 1 << bits, values)
        upper = self.uniform(label, 1 << bits - _LOW_BITS, values >> _LOW_BITS)
        return upper << _LOW_BITS | self.uniform(label, 1 << _LOW_BITS, values & ((1 << _LOW_BITS) - 1))


def _bit_lengths(values: IntArray) -> IntArray:
    """Return the number of bits of each value of 0 .. 2^24 - 1; larger ones are our mistake."""
    if len(values) and not (values.min() >= 0 and values.max() <= MAX_WIDE):
        raise StreamStateError(f"a wide value must be 0..{MAX_WIDE}, got {values.min()}..{values.max()}")
    return np.frexp(values.astype(np.float64))[1].astype(np.int32)


def _check_ints(name: str, values: IntArray) -> None:
    """Raise StreamStateError where values are beyond what an escape codes."""
    if values.min() < -MAX_INT or values.max() > MAX_INT:
        raise StreamStateError(f"{name}: expected -{MAX_INT}..{MAX_INT}, got {values.min()}..{values.max()}")


class PlaneEncoder(PlaneCoder):
    """Makes the bytes of one stream: keeps its symbols first, so that the cheapest table set can be told from them."""

    def __init__(self, table_set_number: int) -> None:
        """Start an empty stream that uses the given table set unless `finish` is told another."""
        self.table_set = table_set_number
        self._runs: list[tuple[int, IntArray | int]] = []  # row of tables, or -size of equally likely symbols

    def resumed(self, table_set_number: int) -> "PlaneEncoder":
        """Return an encoder that holds what this one does and goes on by itself, with a table set of its own."""
        other = PlaneEncoder(table_set_number)
        other._runs = self._runs.copy()
        return other

    def _run(self, name: str, context: int, symbols: IntArray) -> IntArray:
        """Keep symbols of one context."""
        self._runs.append((FIRST_ROW[name] + context, symbols.astype(np.int32)))
        return symbols

    def _run_one(self, name: str, context: int, symbol: int) -> int:
        """Keep one symbol."""
        self._runs.append((FIRST_ROW[name] + context, int(symbol)))
        return symbol

    def planes(self, name: str, places: IntArray, contexts: IntArray, symbols: IntArray) -> None:
        """Keep known planes: sorted by plane and context at once, not plane by plane."""
        first, rows = FIRST_ROW[name], TABLES[name].contexts
        keys = places * rows + contexts
        ordered = symbols[keys.argsort(kind="stable")].astype(np.int32, copy=False)
        counts = np.bincount(keys)
        used = counts.nonzero()[0]
        start = 0
        for key, count in zip(used.tolist(), counts[used].tolist(), strict=True):
            self._runs.append((first + key % rows, ordered[start : start + count]))
            start += count

    def row(self, name: str, contexts: list[int], symbols: list[int]) -> list[int]:
        """Keep a plane of few symbols."""
        first = FIRST_ROW[name]
        for context, place in sorted(zip(contexts, range(len(contexts)), strict=True)):
            self._runs.append((first + context, symbols[place]))
        return symbols

    def _uniform_run(self, label: str, size: int, symbols: IntArray) -> IntArray:
        """Keep equally likely symbols."""
        self._runs.append((-size, symbols.astype(np.int32)))
        return symbols

    def set_bits(self) -> npt.NDArray[np.float64]:
        """Return the bits that each shipped table set takes for the symbols so far, [sets]; others cost all alike."""
        single = [run for run in self._runs if isinstance(run[1], int)]
        several = [run for run in self._runs if not isinstance(run[1], int) and run[0] >= 0]
        rows = np.array([row for row, _ in single] + [row for row, _ in several], np.int64)
        entries = ROW_ENTRY[rows]
        entries = entries.repeat([1] * len(single) + [len(symbols) for _, symbols in several])  # type: ignore[arg-type]
        entries += np.concatenate([[symbol for _, symbol in single], *(symbols for _, symbols in several)]).astype(
            np.int64
        )
        bits: npt.NDArray[np.float64] = entry_costs().take(entries, axis=1).sum(axis=1, dtype=np.float64)
        return bits

    def cheapest_set(self) -> int:
        """Return the number of the table set that takes the fewest bits."""
        return int(self.set_bits().argmin())

    def finish(self, table_set_number: int | None = None) -> bytes:
        """Return the stream: of all numbers the decoder takes for it, the one with the most trailing zeros."""
        coder: Model = constriction.stream.queue.RangeEncoder()
        models = _row_models(self.table_set if table_set_number is None else table_set_number)
        encode = coder.encode
        for row, symbols in self._runs:
            encode(symbols, models[row] if row >= 0 else _uniform_model(-row))
        return shortest_stream(coder)


class PlaneDecoder(PlaneCoder):
    """Reads the symbols of one stream; past its end come zeros."""

    decodes = True

    def __init__(self, stream: bytes, table_set_number: int, listener: PlaneCoder | None = None) -> None:
        """Start at the beginning of a stream; a listener is told every symbol, to count or record it."""
        padded = stream + bytes(-len(stream) % 4)
        self._coder: Model = constriction.stream.queue.RangeDecoder(np.frombuffer(padded, ">u4").astype(np.uint32))
        self._models = _table_models(table_set_number)
        self._listener = listener

    def _run(self, name: str, context: int, symbols: IntArray) -> IntArray:
        """Decode as many symbols as are given."""
        decoded = self._decode(self._models[name][context], len(symbols))
        if self._listener is not None:
            self._listener._run(name, context, decoded)
        return decoded

    def _run_one(self, name: str, context: int, symbol: int) -> int:
        """Decode one symbol."""
        try:
            decoded: int = self._coder.decode(self._models[name][context])
        except AssertionError as error:
            raise BitstreamError(_NO_INTERVAL) from error
        if self._listener is not None:
            self._listener._run_one(name, context, decoded)
        return decoded

    def row(self, name: str, contexts: list[int], symbols: list[int]) -> list[int]:
        """Decode a plane of few symbols."""
        if self._listener is not None:
            return super().row(name, contexts, symbols)
        models, decode = self._models[name], self._coder.decode
        decoded = [0] * len(contexts)
        try:
            for context, place in sorted(zip(contexts, range(len(contexts)), strict=True)):
                decoded[place] = decode(models[context])
        except AssertionError as error:
            raise BitstreamError(_NO_INTERVAL) from error
        return decoded

    def _uniform_run(self, label: str, size: int, symbols: IntArray) -> IntArray:
        """Decode as many equally likely symbols as are given."""
        decoded = self._decode(_uniform_model(size), len(symbols))
        if self._listener is not None:
            self._listener._uniform_run(label, size, decoded)
        return decoded

    def _decode(self, model: Model, count: int) -> IntArray:
        """Decode; raises BitstreamError where no symbol's interval holds the stream's number."""
        try:
            decoded: IntArray = self._coder.decode(model, count)
        except AssertionError as error:
            raise BitstreamError(_NO_INTERVAL) from error
        return decoded


class CountingEncoder(PlaneCoder):
    """Counts the bits each element would take, and makes no bytes."""

    def __init__(self, table_set_number: int) -> None:
        """Start with nothing counted."""
        self._costs: dict[str, FloatArray] = cost_tables(table_set_number)
        self.bits: dict[str, float] = {}

    def _run(self, name: str, context: int, symbols: IntArray) -> IntArray:
        """Add up what the symbols cost."""
        label = f"wide {WIDE_NAMES[context]}" if name == "wide" else name
        self.bits[label] = self.bits.get(label, 0.0) + float(self._costs[name][context][symbols].sum())
        return symbols

    def _run_one(self, name: str, context: int, symbol: int) -> int:
        """Add up what one symbol costs."""
        self.bits[name] = self.bits.get(name, 0.0) + float(self._costs[name][context, int(symbol)])
        return symbol

    def _uniform_run(self, label: str, size: int, symbols: IntArray) -> IntArray:
        """Add up what equally likely symbols cost."""
        label = f"wide {label}" if label in WIDE_NAMES else label
        self.bits[label] = self.bits.get(label, 0.0) + float(np.log2(size)) * len(symbols)
        return symbols

    @property
    def total_bits(self) -> float:
        """Bits of everything so far."""
        return sum(self.bits.values())
