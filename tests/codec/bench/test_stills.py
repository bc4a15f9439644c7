"""Stills on the bench: real files of every format, tables and the command."""

import io
import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from codec.bench.figures import luma_psnr_db
from codec.bench.rd_points import PointCache
from codec.bench.still_peers import STILL_PEERS, SplatStillPeer
from codec.bench.stills import measure_stills, still_means, stills_json, stills_table
from codec.cli import EXIT_BAD_INPUT, main
from codec.engine import KeyPlan
from codec.errors import MediaError
from codec.media import RgbPicture

QUICK = KeyPlan(iterations=12, quantized_iterations=0, refit_iterations=0, sweeps=2, lead_weight=0.0)


@pytest.fixture
def picture() -> RgbPicture:
    y, x = np.mgrid[:64, :96]
    shade = 120 + 60 * np.sin(x / 9 + y / 15) + 30 * (x > 50)
    return np.stack([shade, shade * 0.8, 230 - shade], -1).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("peer", [*STILL_PEERS, SplatStillPeer(plan=QUICK, threads=1)], ids=lambda peer: peer.name)
def test_codes_a_picture(peer: SplatStillPeer, picture: RgbPicture) -> None:
    assert peer.missing() is None
    coarse, fine = (peer.encode([picture], Fraction(1), quality) for quality in (20.0, 80.0))
    assert coarse.sizes_bytes[0] < fine.sizes_bytes[0]
    assert luma_psnr_db(coarse.pictures[0], picture) < luma_psnr_db(fine.pictures[0], picture)
    assert luma_psnr_db(fine.pictures[0], picture) > 30
    assert peer.settings


def test_table_and_json(tmp_path: Path, picture: RgbPicture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codec.bench.stills.SplatStillPeer", lambda threads: SplatStillPeer(plan=QUICK, threads=1))
    folder = tmp_path / "stills"
    folder.mkdir()
    with pytest.raises(MediaError, match="it holds none"):
        measure_stills(folder, PointCache(None), 1, print)
    for name, shown in (("a", picture), ("b", picture[::-1])):
        Image.fromarray(np.ascontiguousarray(shown)).save(folder / f"{name}.png")
    said: list[str] = []
    results = measure_stills(folder, PointCache(tmp_path / "cache"), 1, said.append)
    assert [line.split(":")[0] for line in said] == ["a", "b"]
    means = still_means(results)
    assert {codec for codec, _ in means} <= {"JPEG", "WebP", "gsvc"}
    assert {metric for _, metric in means} <= {"luma_db", "rgb_db", "ms_ssim"}
    content = json.loads(json.dumps(stills_json(results)))
    assert [entry["name"] for entry in content["pictures"]] == ["a", "b"]
    assert set(content["pictures"][0]["points"]) == {"splatcall", "JPEG", "WebP", "gsvc"}
    console = Console(width=200, file=io.StringIO(), record=True)
    console.print(stills_table(results))
    assert "mean" in console.export_text()


def test_the_command_needs_clips_or_stills(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "rd", "--json", str(tmp_path / "rd.json")]) == EXIT_BAD_INPUT
    assert "expected --clips DIR, --stills DIR or both" in capsys.readouterr().err
