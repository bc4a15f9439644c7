"""Static tables against adaptive counters, on symbols whose answer is known."""

import json
from pathlib import Path

import numpy as np
import pytest

from codec.bench.contexts import adaptive_bits, compare_contexts, main
from codec.bitstream.recording import Recording, RecordingEncoder


def recording_of(clip: str, share: float) -> Recording:
    """Return P-frames whose `slot_on` flags are set with a probability."""
    rng = np.random.default_rng(len(clip))
    recorder = RecordingEncoder()
    for _ in range(30):
        recorder.begin_frame("p")
        recorder.table("slot_on", 7, (rng.random(200) < share).astype(np.int32))
    return recorder.recording(clip)


def test_a_counter_comes_to_the_entropy_of_its_symbols() -> None:
    rng = np.random.default_rng(3)
    symbols = (rng.random(20000) < 0.1).astype(np.uint8)
    entropy = -0.1 * np.log2(0.1) - 0.9 * np.log2(0.9)
    even = np.array([1.0, 1.0], np.float32)
    assert adaptive_bits(symbols, even) == pytest.approx(20000 * entropy, rel=0.02)
    assert adaptive_bits(symbols[:0], even) == 0
    assert adaptive_bits(np.zeros(1, np.uint8), even) == 1
    drifting = np.concatenate([symbols, 1 - symbols])
    assert adaptive_bits(drifting, even) < adaptive_bits(drifting, even, memory=1e9)


def test_static_tables_lose_where_the_clip_is_unlike_the_others(tmp_path: Path) -> None:
    recordings = [recording_of("a", 0.1), recording_of("bb", 0.1), recording_of("odd", 0.45)]
    a, _, odd = compare_contexts(recordings, sets=3)
    assert (a.clip, a.kind) == ("a", "p")
    assert a.excess < 0.02
    assert odd.excess > 0.2
    assert set(odd.elements) == {"slot_on"}
    paths = [str(tmp_path / f"{r.clip}.npz") for r in recordings]
    for path, recording in zip(paths, recordings, strict=True):
        recording.save(Path(path))
    main([*paths, "--sets", "3", "--json", str(tmp_path / "figures.json")])
    written = json.loads((tmp_path / "figures.json").read_text())
    assert [own["excess"] for own in written] == [own.excess for own in compare_contexts(recordings, sets=3)]
    with pytest.raises(SystemExit):
        main([paths[0], paths[0]])
