"""`splatcall bench speed` on a few frames: every figure that the limits speak of is there, and is written."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from codec.bench.speed import Target
from codec.cli import EXIT_BAD_INPUT, main
from codec.media import open_writer


def test_targets_know_which_way_they_look() -> None:
    assert Target("luma dB", 35.5, 35.0, at_least=True).met
    assert not Target("luma dB", 34.5, 35.0, at_least=True).met
    assert Target("ms", 30.0, 33.0, at_least=False).met
    assert not Target("ms", 34.0, 33.0, at_least=False).met


def test_measures_a_short_clip(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x, y = np.meshgrid(np.linspace(0, 6, 160), np.linspace(0, 4, 120))
    writer = open_writer(tmp_path / "clip.mp4", Fraction(30))
    for index in range(4):
        planes = [127 + 90 * np.sin(x + 0.1 * index), 127 + 90 * np.cos(y), 127 + 60 * np.sin(x * y)]
        writer.write(np.stack(planes, axis=-1).astype(np.uint8))
    writer.close()
    output = tmp_path / "speed.json"
    assert main(["bench", "speed", "--json", str(output), "--clip", str(tmp_path / "clip.mp4"), "--frames", "4"]) == 0
    report = json.loads(output.read_text())
    sizes = {name: (report[name]["width_px"], report[name]["height_px"]) for name in ("best", "live", "live_vp8")}
    assert sizes == {"best": (160, 120), "live": (640, 360), "live_vp8": (640, 360)}
    for name in ("best", "best_vp8", "live", "live_vp8"):
        assert report[name]["frames"] == 4
        assert report[name]["kbps"] > 0
        assert report[name]["luma_db"] > 20
        assert 0 < report[name]["p_wall_ms"]["p50"] <= report[name]["p_wall_ms"]["p95"]
        assert report[name]["p_cpu_ms"]["p50"] > 0
    assert report["decode"]["wall_ms"]["p50"] > 0
    assert 50 < report["worker_peak_mb"] < 2000
    assert len(report["targets"]) == 8
    shown = capsys.readouterr().out
    assert "Limits" in shown
    assert "left out" in shown


def test_refuses_a_folder_without_the_prototype(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["bench", "speed", "--json", str(tmp_path / "f.json"), "--prototype", str(tmp_path)]
    assert main(arguments) == EXIT_BAD_INPUT
    assert "splatn.cpp" in capsys.readouterr().err
