"""The command line, whole: clips in, files out, figures, and one clear line for what is wrong."""

import io
import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from codec.bench.figures import luma_psnr_db
from codec.bitstream.container import RECORD_FRAME, SplatvReader
from codec.cli import EXIT_BAD_INPUT, main
from codec.media import RgbPicture, open_clip, open_writer
from tests.codec.decoded import decoded

FRAMES = 6


def moving_picture(width: int, height: int, index: int) -> RgbPicture:
    """Return a soft blob that moves over a slope, uint8 [height, width, 3]."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    blob = np.exp(-(((x - width * (0.3 + 0.04 * index)) / 9) ** 2 + ((y - height / 2) / 7) ** 2))
    planes = [60 + 150 * blob + x * 40 / width, 70 + 80 * blob + y * 40 / height, 90 - 50 * blob]
    return np.stack(planes, axis=-1).clip(0, 255).astype(np.uint8)


def write_clip(path: Path, width: int, height: int, frames: int) -> Path:
    """Write an uncompressed clip of 10 pictures a second."""
    writer = open_writer(path, Fraction(10))
    for index in range(frames):
        writer.write(moving_picture(width, height, index))
    writer.close()
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with clip.y4m, and with it encoded as clip.splatv and stats.json."""
    place = tmp_path_factory.mktemp("cli")
    clip = write_clip(place / "clip.y4m", 96, 64, FRAMES)
    options = ["--no-importance", "--patch-every", "0.2", "--stats", str(place / "stats.json")]
    assert main(["encode", str(clip), str(place / "clip.splatv"), *options]) == 0
    return place


def test_stats_have_the_documented_shape(folder: Path) -> None:
    stats = json.loads((folder / "stats.json").read_text())
    assert list(stats) == ["width", "height", "fps", "device", "total_bytes", "frames"]
    assert (stats["width"], stats["height"], stats["fps"], stats["device"]) == (96, 64, 10.0, "cpu")
    assert stats["total_bytes"] == (folder / "clip.splatv").stat().st_size
    assert [frame["index"] for frame in stats["frames"]] == list(range(FRAMES))
    assert [frame["kind"] for frame in stats["frames"]] == ["key"] + ["p"] * (FRAMES - 1)
    names = ["index", "kind", "bytes", "encode_ms", "cpu_ms", "splats", "changed", "stages_ms"]
    names += ["quality", "lambda_", "units", "sent_bits", "bucket"]
    for frame in stats["frames"]:
        assert list(frame) == names
        assert frame["bytes"] > 0
        assert frame["encode_ms"] > 0
        assert all(value >= 0 for value in frame["stages_ms"].values())


def test_decoded_clip_looks_like_its_source(folder: Path, tmp_path: Path) -> None:
    pictures = decoded(folder, tmp_path)
    with open_clip(folder / "clip.y4m") as clip:
        quality = [luma_psnr_db(shown, source) for shown, source in zip(pictures, clip, strict=True)]
    assert min(quality) > 30


@pytest.mark.parametrize(("text", "first", "last"), [("2:5", 2, 5), ("4:", 4, FRAMES), (":3", 0, 3), ("5", 5, 6)])
def test_seeking_gives_the_same_frames(folder: Path, tmp_path: Path, text: str, first: int, last: int) -> None:
    whole = decoded(folder, tmp_path)
    part = decoded(folder, tmp_path, "--frames", text)
    assert len(part) == last - first
    assert all(np.array_equal(a, b) for a, b in zip(part, whole[first:last], strict=True))


def test_region_and_scale(folder: Path, tmp_path: Path) -> None:
    (picture,) = decoded(folder, tmp_path, "--frames", "3", "--region", "8,4,40,30", "--scale", "2")
    assert picture.shape == (60, 80, 3)
    (whole,) = decoded(folder, tmp_path, "--frames", "3")
    (region,) = decoded(folder, tmp_path, "--frames", "3", "--region", "8,4,40,30")
    assert luma_psnr_db(region, np.ascontiguousarray(whole[4:34, 8:48])) > 45


@pytest.mark.parametrize("name", ["out.mp4", "out.png"])
def test_other_outputs(folder: Path, tmp_path: Path, name: str) -> None:
    assert main(["decode", str(folder / "clip.splatv"), str(tmp_path / name), "--frames", "1"]) == 0
    with open_clip(tmp_path / name) as clip:
        assert (clip.width_px, clip.height_px, len(list(clip))) == (96, 64, 1)


def test_info_names_sizes_and_elements(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(folder / "clip.splatv")]) == 0
    shown = capsys.readouterr().out
    size = (folder / "clip.splatv").stat().st_size
    for expected in (
        f"96x64, 10.000 fps, {FRAMES} frames, {size} bytes",
        "epoch 0",
        "key_luma",
        "patches to seek by: ",
    ):
        assert expected in shown


@pytest.mark.parametrize("size", ["1x1", "17x5", "2x64"])
def test_odd_sizes_work(folder: Path, tmp_path: Path, size: str) -> None:
    output = tmp_path / "odd.splatv"
    options = ["--size", size, "--frames", "2", "--no-importance", "--effort", "live"]
    assert main(["encode", str(folder / "clip.y4m"), str(output), *options]) == 0
    assert main(["decode", str(output), str(tmp_path / "odd.mp4")]) == 0
    with open_clip(tmp_path / "odd.mp4") as clip:
        assert f"{clip.width_px}x{clip.height_px}" == size


def assert_refused(capsys: pytest.CaptureFixture[str], arguments: list[str], expected: str) -> None:
    """Check the exit code, and that stderr holds one line with the expected words, after a progress bar at most."""
    assert main(arguments) == EXIT_BAD_INPUT
    *before, line = (line for line in capsys.readouterr().err.splitlines() if line.strip())
    assert line.startswith(f"splatcall {arguments[0]}: ")
    assert expected in line
    assert all(earlier.startswith(("encoding", "decoding")) for earlier in before)


def test_work_is_written_then_done_again(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    work = tmp_path / "work.jsonl"
    live = ["--no-importance", "--effort", "live", "--threads", "2", "--work", str(work)]
    for name, latency in (("a.splatv", "3"), ("b.splatv", "500")):
        assert main(["encode", str(folder / "clip.y4m"), str(tmp_path / name), "--latency-ms", latency, *live]) == 0
    assert (tmp_path / "a.splatv").read_bytes() == (tmp_path / "b.splatv").read_bytes()
    assert len(work.read_text().splitlines()) == 1 + FRAMES
    other = ["encode", str(folder / "clip.y4m"), str(tmp_path / "c.splatv"), *live, "--seed", "1"]
    assert main(other) == EXIT_BAD_INPUT
    assert "made with seed 0, this run has 1" in capsys.readouterr().err


def test_clips_that_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    output = str(tmp_path / "out.splatv")
    assert_refused(capsys, ["encode", str(text), output], "expected a")
    assert_refused(capsys, ["encode", str(tmp_path / "none.mp4"), output], "No such file")
    assert list(tmp_path.iterdir()) == [text]


def test_options_out_of_range(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["encode", str(folder / "clip.y4m"), str(tmp_path / "out.splatv"), "--max-splats", "20000"]
    assert_refused(capsys, arguments, "max_splats must be 1..16000, got 20000")


def test_figures_that_cannot_be_written(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["encode", str(folder / "clip.y4m"), str(tmp_path / "out.splatv")]
    assert_refused(capsys, [*arguments, "--stats", str(tmp_path / "none" / "f.json")], "cannot be written")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("option", [["--size", "0x3"], ["--quality", "101"], ["--effort", "high"], ["--frames", "0"]])
def test_arguments_that_do_not_parse(option: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["encode", "in.mp4", "out.splatv", *option])
    assert stopped.value.code == EXIT_BAD_INPUT
    assert option[1] in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--frames", "6:9"], "expected frames within 0:6, got 6:9"),
        (["--region", "90,0,20,20"], "region"),
        (["--scale", "1000"], "scale"),
    ],
)
def test_views_that_are_not_there(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], expected: str
) -> None:
    assert_refused(capsys, ["decode", str(folder / "clip.splatv"), str(tmp_path / "out.y4m"), *options], expected)
    assert not list(tmp_path.iterdir())


def test_png_takes_one_frame(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["decode", str(folder / "clip.splatv"), str(tmp_path / "out.png")]
    assert_refused(capsys, arguments, "a png takes one frame, got 6")


def places_in(whole: bytes) -> dict[str, int]:
    """Return offsets in a file: inside of its records, and between two of them."""
    reader = SplatvReader(io.BytesIO(whole))
    records = list(reader.records())
    key, *_, last = [record for record in records if record.kind == RECORD_FRAME]
    index = reader.end_of(last)
    tail = index + int.from_bytes(whole[-8:-4], "big")
    assert (records[-1], tail) == (last, len(whole) - 8)
    return {
        "nothing": 0,
        "in the magic": 5,
        "in the head": records[0].offset - 1,
        "in the key frame": reader.end_of(key) - 1,
        "before the last frame": last.offset,
        "in the last frame": index - 1,
        "before the index": index,
        "in the index": tail - 1,
        "before the tail": tail,
        "in the tail": len(whole) - 1,
    }


@pytest.mark.parametrize("command", ["decode", "info"])
@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("nothing", "not a .splatv file"),
        ("in the magic", "not a .splatv file"),
        ("in the head", "file truncated: a record ends at"),
        ("in the key frame", {"decode": "at least one whole frame", "info": "file truncated: a record ends at"}),
        ("in the last frame", "file truncated: a record ends at"),
        ("in the index", "file truncated: a record ends at"),
    ],
)
def test_a_file_cut_in_a_record_is_refused(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    command: str,
    place: str,
    expected: str | dict[str, str],
) -> None:
    whole = (folder / "clip.splatv").read_bytes()
    cut = tmp_path / "cut.splatv"
    cut.write_bytes(whole[: places_in(whole)[place]])
    output = [str(tmp_path / "out.y4m")] if command == "decode" else []
    assert_refused(capsys, [command, str(cut), *output], expected if isinstance(expected, str) else expected[command])
    assert list(tmp_path.iterdir()) == [cut]


@pytest.mark.parametrize(
    ("place", "frames"),
    [
        ("before the last frame", FRAMES - 1),
        ("before the index", FRAMES),
        ("before the tail", FRAMES),
        ("in the tail", FRAMES),
    ],
)
def test_a_file_cut_between_records_shows_all_that_it_holds(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str, frames: int
) -> None:
    whole = (folder / "clip.splatv").read_bytes()
    (tmp_path / "clip.splatv").write_bytes(whole[: places_in(whole)[place]])
    pictures = decoded(tmp_path, tmp_path)
    assert len(pictures) == frames
    assert all(np.array_equal(a, b) for a, b in zip(pictures, decoded(folder, tmp_path)[:frames], strict=True))
    assert main(["info", str(tmp_path / "clip.splatv")]) == 0
    assert f"10.000 fps, {frames} frames, {places_in(whole)[place]} bytes" in capsys.readouterr().out


def test_a_file_of_another_kind(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["decode", str(folder / "clip.y4m"), str(tmp_path / "out.mp4")]
    assert_refused(capsys, arguments, "not a .splatv file")
