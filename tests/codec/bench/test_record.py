"""Recordings of a real clip: the symbols are those of its frames, and a file gives the same as encoding again."""

from pathlib import Path

import numpy as np
import pytest

from codec.bench.record import main
from codec.bitstream.recording import KINDS, Recording
from codec.bitstream.train_tables import Frames, set_costs, train
from codec.transcode import EncodeOptions, encode_clip


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory, carphone_path: Path) -> Path:
    """Record 31 frames at one quality, with two key frames from elsewhere."""
    path = tmp_path_factory.mktemp("record") / "carphone.npz"
    options = ["--size", "96x80", "--frames", "31", "--keys", "2", "--quality", "30"]
    main([str(path), str(carphone_path), *options])
    return path


def test_frames_patches_and_further_key_frames_are_kept(recorded: Path) -> None:
    made = Recording.load(recorded)
    assert made.clip == "carphone"
    kinds = [KINDS[kind] for kind in made.kinds]
    assert kinds == ["key", *["p"] * 29, "patch", "p", "key", "key"]
    assert made.streams.tolist() == [0] * 34
    assert (np.diff(made.starts) > 0).all()


def test_a_file_gives_what_encoding_gave(recorded: Path, tmp_path: Path, carphone_path: Path) -> None:
    options = EncodeOptions(size=(96, 80), frames=31, quality=30.0, importance=False, threads=1)
    encode_clip(carphone_path, tmp_path / "carphone.splatv", options, lambda done, expected: None)
    main([str(tmp_path / "again.npz"), str(tmp_path / "carphone.splatv"), "--clip", "carphone"])
    made, again = Recording.load(recorded), Recording.load(tmp_path / "again.npz")
    symbols = int(made.starts[32])
    assert again.starts.tolist() == made.starts[:33].tolist()
    assert (again.entries == made.entries[:symbols]).all()


def test_tables_of_a_recording_code_it_with_fewer_bits(recorded: Path) -> None:
    frames = Frames([Recording.load(recorded)])
    counts = frames.counts[frames.of_kind("p")].sum(axis=0)
    priors, pooled = (float(counts @ set_costs(made[:1])[0]) for made in (train(None), train(frames, 2)))
    assert pooled < 0.9 * priors
