"""Clips of the gsvc profile through the command line."""

import io
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from codec.bitstream.container import SplatvReader
from codec.bitstream.msgpack_fields import pack
from codec.cli import EXIT_BAD_INPUT, main
from codec.errors import BitstreamError
from codec.media import open_clip, open_writer
from tests.codec.decoded import decoded
from tests.codec.gsvc.pictures import HEIGHT, WIDTH, mean_square, moving_picture

SCENES = [0, 0, 0, 4, 4, 4]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with clip.y4m of two scenes, and with it encoded as clip.splatv."""
    place = tmp_path_factory.mktemp("gsvc")
    writer = open_writer(place / "clip.y4m", Fraction(10))
    for index, scene in enumerate(SCENES):
        writer.write(moving_picture(index, scene))
    writer.close()
    options = ["--profile", "gsvc", "--effort", "live", "--quality", "70", "--threads", "1"]
    assert main(["encode", str(place / "clip.y4m"), str(place / "clip.splatv"), *options]) == 0
    return place


def test_decoded_clip_looks_like_its_source(folder: Path, tmp_path: Path) -> None:
    pictures = decoded(folder, tmp_path)
    with open_clip(folder / "clip.y4m") as clip:
        errors = [mean_square(shown, source) for shown, source in zip(pictures, clip, strict=True)]
    assert max(errors) < 60


@pytest.mark.parametrize(("text", "first", "last"), [("1:3", 1, 3), ("4", 4, 5), ("2:", 2, 6)])
def test_seeking_gives_the_same_frames(folder: Path, tmp_path: Path, text: str, first: int, last: int) -> None:
    whole, part = decoded(folder, tmp_path), decoded(folder, tmp_path, "--frames", text)
    assert all(np.array_equal(a, b) for a, b in zip(part, whole[first:last], strict=True))


def test_region_and_scale(folder: Path, tmp_path: Path) -> None:
    (picture,) = decoded(folder, tmp_path, "--frames", "3", "--region", "8,4,40,30", "--scale", "2")
    assert picture.shape == (60, 80, 3)


def test_info_names_the_profile(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(folder / "clip.splatv")]) == 0
    shown = capsys.readouterr().out
    for expected in (
        f"{WIDTH}x{HEIGHT}, 10.000 fps, {len(SCENES)} frames",
        "profile gsvc",
        "key frames: 2",
        "P-frames: 4",
    ):
        assert expected in shown


def test_without_its_index_a_file_is_scanned(folder: Path) -> None:
    data = (folder / "clip.splatv").read_bytes()
    whole, cut = SplatvReader(io.BytesIO(data)).index, SplatvReader(io.BytesIO(data[:-1])).index
    assert cut == whole
    assert [index for index, _ in whole.epochs] == [0, 3]


def test_unknown_profiles_are_refused(folder: Path) -> None:
    data = (folder / "clip.splatv").read_bytes()
    known, unknown = pack({"profile": "gsvc"})[1:], pack({"profile": "gsvd"})[1:]
    with pytest.raises(BitstreamError, match="gsvd"):
        SplatvReader(io.BytesIO(data.replace(known, unknown)))


@pytest.mark.parametrize("option", [["--bitrate-kbps", "100"], ["--patch-every", "1"]])
def test_options_that_it_does_not_know(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], option: list[str]
) -> None:
    arguments = ["encode", str(folder / "clip.y4m"), str(tmp_path / "out.splatv"), "--profile", "gsvc", *option]
    assert main(arguments) == EXIT_BAD_INPUT
    assert "gsvc profile knows neither" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
