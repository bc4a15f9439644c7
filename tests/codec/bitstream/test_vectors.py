"""The test vectors, read as README.md says; the JavaScript tests read the same files."""

import json
from pathlib import Path

import numpy as np
import pytest

from codec import render
from codec.bitstream import apply_patch_part, parse_epoch, parse_frame, parse_patch_part
from codec.state import apply_frame, midpoint_splats, state_hash
from codec.types import SplatState
from tests.vectors import generate

VECTORS = Path(generate.__file__).parent
FOLDERS = sorted(path.parent for path in VECTORS.glob("*/expected.json"))


def read_parts(folder: Path, step: dict[str, object]) -> list[bytes]:
    """Return the parts of a step."""
    names = step["parts"]
    assert isinstance(names, list)
    return [(folder / name).read_bytes() for name in names]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_decoded_integers_are_those_expected(folder: Path) -> None:
    expected = json.loads((folder / "expected.json").read_text())
    epoch = parse_epoch((folder / "epoch.msgpack").read_bytes())
    assert [epoch.slots, list(epoch.base_shape), list(epoch.vectors_shape)] == [
        expected[name] for name in ("slots", "base_shape", "vectors_shape")
    ]
    state = SplatState.empty(epoch)
    states: dict[int, SplatState] = {}
    for step in expected["steps"]:
        before = state.copy()
        if step["type"] == "frame":
            frame = parse_frame(read_parts(folder, step), epoch)
            apply_frame(state, frame)
            assert [frame.kind, frame.midpoint, frame.hash16] == [step[key] for key in ("kind", "midpoint", "hash16")]
            assert frame.hash16 in (None, state_hash(state))
        else:
            state = states[step["since"]].copy() if step["since"] >= 0 else SplatState.empty(epoch)
            parts = [parse_patch_part(part, epoch) for part in read_parts(folder, step)]
            for part in parts[::-1]:
                apply_patch_part(state, part)
            state.frame_number = parts[0].number
            assert parts[0].hash16 == state_hash(state)
        if "midpoint_splats" in step:
            assert midpoint_splats(before.splats, state.splats).reshape(-1).tolist() == step["midpoint_splats"]
        assert state.frame_number == step["number"]
        assert state_hash(state) == step["state_hash"]
        for name in ("splats", "base", "vectors"):
            assert getattr(state, name).reshape(-1).tolist() == step[name]
        states[state.frame_number] = state.copy()
    if "picture" in expected:
        check_picture(folder, expected["picture"], state)


def check_picture(folder: Path, about: dict[str, object], state: SplatState) -> None:
    """Compare the last state's picture within the stated tolerance."""
    shape, most, rms = about["shape"], about["max_error"], about["rms_error"]
    assert isinstance(shape, list)
    assert isinstance(most, float)
    assert isinstance(rms, float)
    picture = np.frombuffer((folder / str(about["file"])).read_bytes(), "<f4").reshape(shape)
    error = np.abs(render.render(state) - picture)
    assert error.max() <= most
    assert np.sqrt((error**2).mean()) <= rms


@pytest.mark.parametrize("make", generate.STREAMS, ids=lambda make: make.__name__)
def test_the_generator_still_writes_these_files(make: object, tmp_path: Path) -> None:
    """New tables or syntax need `python -m tests.vectors.generate`, in the same commit."""
    assert callable(make)
    stream = make()
    stream.write(tmp_path)
    folder = VECTORS / stream.name
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in tmp_path.iterdir())
    for path in tmp_path.iterdir():
        if path.suffix != ".f32":  # floats may differ in their last bits between machines
            assert path.read_bytes() == (folder / path.name).read_bytes(), path.name
