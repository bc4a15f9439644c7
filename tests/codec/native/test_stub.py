"""The checked-in types of the native module are those of the module."""

import subprocess
import sys
from pathlib import Path

from codec import native


def test_the_stub_is_current(tmp_path: Path) -> None:
    made = tmp_path / "_native.pyi"
    command = [sys.executable, "-m", "nanobind.stubgen", "-q", "-m", "codec.native._native", "-o", str(made)]
    subprocess.run(command, check=True, capture_output=True)
    checked_in = Path(native.__file__).parent / "_native.pyi"
    assert made.read_text() == checked_in.read_text(), f"run: {' '.join(['python', *command[1:-1]])} {checked_in.name}"
