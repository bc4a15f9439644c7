"""Option values: what is taken and what is refused with a line that says what was expected."""

import argparse
from collections.abc import Callable
from pathlib import Path

import pytest

from codec.cli_values import (
    check_folder_of,
    db_ranges,
    frame_range,
    names,
    positive_number,
    positive_whole,
    quality_list,
    quality_number,
    region,
    size,
)
from codec.errors import MediaError


@pytest.mark.parametrize(
    ("parse", "text", "expected"),
    [
        (size, "640x360", (640, 360)),
        (size, "1x1", (1, 1)),
        (size, "4096x2304", (4096, 2304)),
        (region, "0,8,32,16", (0, 8, 32, 16)),
        (frame_range, "3:9", slice(3, 9)),
        (frame_range, ":9", slice(0, 9)),
        (frame_range, "3:", slice(3, None)),
        (frame_range, "3", slice(3, 4)),
        (positive_whole, "12", 12),
        (positive_number, "0.5", 0.5),
        (quality_list, "10,55.5", (10.0, 55.5)),
        (names, "vp8, av1", ("vp8", "av1")),
        (db_ranges, "33:38,38:41.5", ((33.0, 38.0), (38.0, 41.5))),
        (quality_number, "0", 0.0),
        (quality_number, "100", 100.0),
    ],
)
def test_takes(parse: Callable[[str], object], text: str, expected: object) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (size, "640"),
        (size, "0x4"),
        (size, "4097x4"),
        (size, "-1x4"),
        (size, "640x360x3"),
        (region, "1,2,3"),
        (region, "0,0,0,4"),
        (region, "-1,0,4,4"),
        (frame_range, ""),
        (frame_range, ":"),
        (frame_range, "9:3"),
        (frame_range, "3:3"),
        (frame_range, "a:b"),
        (positive_whole, "0"),
        (positive_whole, "1.5"),
        (positive_number, "0"),
        (positive_number, "nan"),
        (positive_number, "inf"),
        (positive_number, "x"),
        (quality_list, "10,,20"),
        (quality_list, "10,101"),
        (names, "vp8,"),
        (db_ranges, "33"),
        (db_ranges, "38:33"),
        (db_ranges, "33:x"),
        (quality_number, "100.5"),
        (quality_number, "-1"),
    ],
)
def test_refuses(parse: Callable[[str], object], text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="expected"):
        parse(text)


def test_figures_need_a_folder(tmp_path: Path) -> None:
    check_folder_of(None, tmp_path / "f.json", Path("f.json"))
    with pytest.raises(MediaError, match=r"none/f\.png: cannot be written: no folder .*/none$"):
        check_folder_of(tmp_path / "f.json", tmp_path / "none" / "f.png")
