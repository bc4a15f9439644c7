"""`bench live`: a run of it all on a small clip."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from codec.bench.live import LiveOptions, measure_live
from codec.cli import main
from codec.media import Mp4Writer


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Write a clip of 12 pictures, 96x64, at 8 a second: a bright square that moves."""
    path = tmp_path / "square.mp4"
    writer = Mp4Writer(path, Fraction(8))
    for index in range(12):
        picture = np.full((64, 96, 3), 60, np.uint8)
        picture[20:44, 8 + 4 * index : 32 + 4 * index] = 200
        writer.write(picture)
    writer.close()
    return path


def test_every_figure_is_of_the_clip(clip: Path) -> None:
    told: list[str] = []
    options = LiveOptions(clip, frames=10, size=None, qualities=(30.0, 70.0), latency_ms=500.0, threads=1)
    coarse, fine = measure_live(options, told.append)
    assert told == ["square: 10 frames of 96x64"]
    assert (coarse.quality, fine.quality) == (30.0, 70.0)
    assert fine.luma_db > coarse.luma_db
    assert fine.kbps > coarse.kbps
    assert fine.first_bytes > 0
    assert abs(fine.second_db - fine.best_second_db) < 6
    assert 0 < fine.wall_ms[0] <= fine.wall_ms[1] <= fine.wall_ms[2]


def test_command_writes_json(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = tmp_path / "live.json"
    arguments = ["bench", "live", "--clips", str(clip), "--json", str(figures), "--frames", "3", "--qualities", "40"]
    assert main([*arguments, "--threads", "1"]) == 0
    assert [point["clip"] for point in json.loads(figures.read_text())] == ["square"]
    assert "square" in capsys.readouterr().out
