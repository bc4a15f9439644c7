"""Fetches MediaPipe's two small models: `python -m codec.importance.fetch`.

They come out of a MediaPipe wheel on the Python package index, its hash and the files' hashes fixed here. Apache-2.0.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from codec.importance.models import MODELS, MODELS_DIR, ModelFile, intact

__all__ = ["FetchError", "extract", "fetch"]

_WHEEL = "mediapipe==0.10.21"
_WHEEL_SHA256 = "05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3"
_TIMEOUT_S = 300


class FetchError(Exception):
    """The models could not be fetched, or are not what they should be."""


def fetch(folder: Path = MODELS_DIR) -> None:
    """Put the models into the folder unless they are there. Raises FetchError."""
    if all(intact(model, folder) for model in MODELS):
        return
    with tempfile.TemporaryDirectory() as scratch:
        extract(_download_wheel(Path(scratch)), folder)


def extract(wheel: Path, folder: Path) -> None:
    """Take the models out of a wheel: each is either put in place whole or not at all.

    Raises FetchError if a file is missing or its hash is not the one expected.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with zipfile.ZipFile(wheel) as archive:
            for model in MODELS:
                _put(model, archive.read(model.member), folder)
    except (zipfile.BadZipFile, KeyError) as error:
        raise FetchError(f"{wheel.name}: expected a wheel with MediaPipe's models, got {error}") from error


def _put(model: ModelFile, content: bytes, folder: Path) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != model.sha256:
        raise FetchError(f"{model.name}: expected SHA-256 {model.sha256}, got {found}")
    with tempfile.NamedTemporaryFile(dir=folder, delete=False) as part:
        part.write(content)
    os.chmod(part.name, 0o644)
    os.replace(part.name, folder / model.name)


def _download_wheel(scratch: Path) -> Path:
    requirements = scratch / "models.txt"
    requirements.write_text(f"{_WHEEL} --hash=sha256:{_WHEEL_SHA256}\n")
    options = ["--no-deps", "--require-hashes", "--only-binary", ":all:"]
    platform = ["--python-version", "3.11", "--platform", "manylinux_2_28_x86_64"]
    command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", *options, *platform]
    try:
        subprocess.run(
            [*command, "-r", str(requirements), "-d", str(scratch)],
            check=True,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired as error:
        raise FetchError(f"{_WHEEL}: the package index did not answer within {_TIMEOUT_S} s") from error
    except subprocess.CalledProcessError as error:
        reason = (error.stderr or "").strip().splitlines()
        detail = reason[-1] if reason else f"pip ended with {error.returncode}"
        raise FetchError(f"{_WHEEL} could not be downloaded (is there a network?): {detail}") from error
    return next(scratch.glob("*.whl"))


def main() -> int:
    """Fetch; say in plain words what is missing without the models."""
    try:
        fetch()
    except FetchError as error:
        print(f"importance models: {error}", file=sys.stderr)
        print("splatcall works without them, with --no-importance.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
