"""Symbols by given tables, there and back."""

import numpy as np
import pytest

from codec.bitstream.counted import CountedDecoder, CountedEncoder
from codec.errors import BitstreamError


def test_there_and_back() -> None:
    rng = np.random.default_rng(1)
    counts = np.array([1, 1 << 20, 5 << 20, (10 << 20) - 1], np.int64)
    symbols, places = rng.choice(4, 300).astype(np.int32), rng.integers(0, 3000, 40).astype(np.int32)
    encoder = CountedEncoder()
    encoder.counted(counts, symbols)
    encoder.uniform(3000, places)
    encoder.uniform(1, places * 0)
    decoder = CountedDecoder(encoder.finish())
    np.testing.assert_array_equal(decoder.counted(counts, np.zeros_like(symbols)), symbols)
    np.testing.assert_array_equal(decoder.uniform(3000, np.zeros_like(places)), places)
    np.testing.assert_array_equal(decoder.uniform(1, np.zeros_like(places)), places * 0)


def test_a_stream_that_no_encoder_makes() -> None:
    counts = np.array([(1 << 24) - 1, 1], np.int64)
    with pytest.raises(BitstreamError, match="range coder"):
        CountedDecoder(b"\xff" * 400).counted(counts, np.zeros(2000, np.int32))
