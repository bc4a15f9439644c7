"""Symbols to and from bytes by tables that are given with them, by the range coder of SPEC section 4."""

from typing import Any

import constriction
import numpy as np

from codec.bitstream.entropy import exact_model, shortest_stream
from codec.bitstream.tables import TOTAL_COUNT, CountArray
from codec.errors import BitstreamError
from codec.types import IntArray

__all__ = ["CountedDecoder", "CountedEncoder"]

Model = Any  # constriction ships no types


def _uniform_counts(size: int) -> CountArray:
    """Return counts of 0..size-1, all about the same."""
    return np.diff(np.arange(size + 1, dtype=np.int64) * TOTAL_COUNT // size)


class CountedEncoder:
    """Makes the bytes of one stream."""

    def __init__(self) -> None:
        """Start an empty stream."""
        self._coder: Model = constriction.stream.queue.RangeEncoder()

    def counted(self, counts: CountArray, symbols: IntArray) -> IntArray:
        """Encode symbols [n] by a table of counts that sum to 2^24; returns them."""
        self._coder.encode(symbols.astype(np.int32, copy=False), exact_model(counts))
        return symbols

    def uniform(self, size: int, symbols: IntArray) -> IntArray:
        """Encode symbols [n] of 0..size-1, size up to 4096, as equally likely; returns them."""
        return symbols if size == 1 else self.counted(_uniform_counts(size), symbols)

    def finish(self) -> bytes:
        """Return the stream, as short as it can be."""
        return shortest_stream(self._coder)


class CountedDecoder:
    """Reads the symbols of one stream; past its end come zeros. Raises BitstreamError for what no encoder makes."""

    def __init__(self, stream: bytes) -> None:
        """Start at the beginning of a stream."""
        padded = stream + bytes(-len(stream) % 4)
        self._coder: Model = constriction.stream.queue.RangeDecoder(np.frombuffer(padded, ">u4").astype(np.uint32))

    def counted(self, counts: CountArray, symbols: IntArray) -> IntArray:
        """Decode as many symbols as are given by a table of counts that sum to 2^24."""
        try:
            decoded: IntArray = self._coder.decode(exact_model(counts), len(symbols))
        except AssertionError as error:
            raise BitstreamError("the stream is not one that a range coder makes") from error
        return decoded

    def uniform(self, size: int, symbols: IntArray) -> IntArray:
        """Decode as many equally likely symbols of 0..size-1 as are given."""
        return np.zeros_like(symbols) if size == 1 else self.counted(_uniform_counts(size), symbols)
