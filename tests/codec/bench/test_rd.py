"""`bench rd`: points, cache, comparisons and reports with codecs whose curves are known, and the command itself."""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from codec.bench import rd
from codec.bench.figures import mean_luma_psnr_db
from codec.bench.gsvc_peer import GsvcPeer
from codec.bench.metrics import Source, prepare_source
from codec.bench.peers import CodedClip, Ladder, packets_of
from codec.bench.rd import RdOptions, RdResult, measure_rd
from codec.bench.rd_clips import find_clips, fit_inside, kind_of, load_clip, moved_share
from codec.bench.rd_compare import COLUMNS, compare
from codec.bench.rd_plot import plot_rd
from codec.bench.rd_points import HEADER_BYTES, PointCache, Span, measure_curve
from codec.bench.rd_report import print_rd, rd_json
from codec.bench.splat_peer import SplatPeer
from codec.cli import EXIT_BAD_INPUT, main
from codec.errors import ConfigError, MediaError
from codec.media import Mp4Writer, RgbPicture

FRAMES = 6
LADDER = Ladder((20.0, 28.0, 36.0), 0, 100, 4)


@dataclass
class NoisyPeer:
    """Adds noise of 10 - quality / 5 and says that it took 1000 * 2**(quality / 10) * `cost` bytes a frame."""

    name: str = "noisy"
    cost: float = 1.0
    ladder: Ladder = LADDER
    lacks: str | None = None
    encoded: list[float] = field(default_factory=list)

    @property
    def settings(self) -> str:
        return f"{self.name} {self.cost}"

    def missing(self) -> str | None:
        return self.lacks

    def encode(self, pictures: Sequence[RgbPicture], fps: Fraction, quality: float) -> CodedClip:
        self.encoded.append(quality)
        random = np.random.default_rng(int(quality))
        spread = 10 - quality / 5
        shown = [
            (picture + random.normal(0, spread, picture.shape)).clip(0, 255).astype(np.uint8) for picture in pictures
        ]
        sizes = (round(1000 * 2 ** (quality / 10) * self.cost),) * len(pictures)
        return CodedClip(sizes, tuple(map(packets_of, sizes)), shown, 0.1, 0.2)


@pytest.fixture(scope="module")
def source() -> Source:
    y, x = np.mgrid[:64, :80]
    shade = (120 + 50 * np.sin(x / 9 + y / 5)).astype(np.uint8)
    return prepare_source([np.stack([shade] * 3, -1)] * FRAMES, Fraction(25))


@pytest.fixture
def clip_path(tmp_path: Path, source: Source) -> Path:
    folder = tmp_path / "clips"
    folder.mkdir()
    writer = Mp4Writer(folder / "waves.mp4", Fraction(25))
    for picture in source.pictures:
        writer.write(picture)
    writer.close()
    return folder


def quiet(_: str) -> None:
    pass


def test_extends_a_curve_until_it_spans(source: Source) -> None:
    peer = NoisyPeer()
    points = measure_curve(peer, source, "k", ["luma_db"], [Span("luma_db", 33.5, 44.0)], PointCache(None), quiet)
    assert peer.encoded == [20, 28, 36, 16, 12, 8, 40]
    assert points[0].mean("luma_db") <= 33.5
    assert points[-1].mean("luma_db") >= 44
    assert [point.quality for point in points] == sorted(peer.encoded)


def test_rates_with_headers_and_of_a_part(source: Source) -> None:
    (point, *_) = measure_curve(NoisyPeer(cost=2), source, "k", [], [], PointCache(None), quiet)
    size = 1000 * 2**2 * 2
    assert point.kbps(source.fps) == pytest.approx(size * 8 * 25 / 1000)
    assert point.kbps(source.fps, headers=True) == pytest.approx((size + 7 * HEADER_BYTES) * 8 * 25 / 1000)
    assert point.kbps(source.fps, frames=slice(2, 4)) == pytest.approx(size * 8 * 25 / 1000)


def test_the_cache_answers_for_equal_pictures_and_settings(source: Source, tmp_path: Path) -> None:
    cache = PointCache(tmp_path / "cache")
    first, again, other = NoisyPeer(), NoisyPeer(), NoisyPeer(cost=2)
    expected = measure_curve(first, source, "clip", ["luma_db"], [], cache, quiet)
    assert measure_curve(again, source, "clip", ["luma_db"], [], cache, quiet) == expected
    assert again.encoded == []
    measure_curve(other, source, "clip", ["luma_db"], [], cache, quiet)
    assert other.encoded == [20, 28, 36]
    measure_curve(again, source, "another clip", ["luma_db"], [], cache, quiet)
    assert again.encoded == [20, 28, 36]
    (*_, with_more) = measure_curve(again, source, "clip", ["rgb_db"], [], cache, quiet)
    assert set(with_more.measures) == {"luma_db", "rgb_db"}
    assert again.encoded == [20, 28, 36] * 2


def test_twice_the_rate_is_twice_the_rate_in_every_column(source: Source) -> None:
    metrics = [column.metric for column in COLUMNS]
    span = [Span("luma_db", 30.0, 39.0)]
    ours, theirs = NoisyPeer("ours", 2.0), NoisyPeer("theirs", 1.0)
    curves = {
        peer.name: measure_curve(peer, source, "k", metrics, span, PointCache(None), quiet) for peer in (ours, theirs)
    }
    found = {entry.column: entry for entry in compare(curves, "ours", source.fps, [(33.0, 38.0)], slice(2, 6))}
    known = {column.name for column in COLUMNS if source.weights is not None or column.metric != "weighted_luma_db"}
    assert set(found) == known
    for name in known - {"luma, headers"}:
        assert found[name].rate.percent == pytest.approx(100, abs=0.1)
    assert 90 < (found["luma, headers"].rate.percent or 0) < 110
    assert found["RGB"].rate.low < found["RGB"].rate.high
    unspanned = compare(curves, "ours", source.fps, [(20.0, 38.0)], slice(0, 0))
    assert {entry.rate.percent for entry in unspanned} == {None}
    assert "the tested codec spans" in unspanned[0].rate.note
    assert "luma, tail" not in {entry.column for entry in unspanned}


def test_clips_of_a_folder(clip_path: Path, tmp_path: Path) -> None:
    (tmp_path / "clips" / "notes.txt").write_text("no clip")
    (path,) = find_clips(clip_path)
    assert find_clips(path) == [path]
    clip = load_clip(path, (50, 50), 4)
    assert (clip.name, clip.size, len(clip.pictures)) == ("waves", (50, 40), 4)
    assert clip.key != load_clip(path, (50, 50), 3).key
    (tmp_path / "none").mkdir()
    with pytest.raises(MediaError, match="it holds none"):
        find_clips(tmp_path / "none")


@pytest.mark.parametrize(
    ("size", "limit", "fitted"),
    [
        ((1280, 720), (640, 360), (640, 360)),
        ((640, 480), (640, 360), (480, 360)),
        ((352, 288), (640, 360), (352, 288)),
        ((513, 511), (640, 360), (362, 360)),
        ((175, 143), None, (176, 144)),
    ],
)
def test_fits_inside(size: tuple[int, int], limit: tuple[int, int] | None, fitted: tuple[int, int]) -> None:
    assert fit_inside(size, limit) == fitted


def measured(clip_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[RdOptions, RdResult]:
    ours, theirs = NoisyPeer("splatcall", 0.5), NoisyPeer("vp8")
    monkeypatch.setattr(rd, "_our_peer", lambda options, name="splatcall": ours)
    monkeypatch.setattr(rd, "LIBAV_PEERS", {"vp8": (theirs,), "vp9": (NoisyPeer("vp9", lacks="no such encoder"),)})
    monkeypatch.setattr(rd, "RANGES", {"webcam": ((33.0, 38.0), (10.0, 20.0))})
    options = RdOptions(clip_path, against=("vp8", "vp9"), frames=FRAMES, tail=(3, 6))
    return options, measure_rd(options, quiet)


def test_report_json_and_plot(clip_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options, result = measured(clip_path, monkeypatch)
    (clip,) = result.clips
    assert (clip.kind, clip.moved_share) == ("webcam", 0.0)
    content = json.loads(rd_json(result, options))
    (entry,) = content["clips"]
    assert [len(points) for points in entry["points"].values()] == [len(points) for points in clip.curves.values()]
    rates = {(rate["column"], rate["low"]): rate for rate in entry["bd_rates"]}
    assert rates["luma", 33.0]["percent"] == pytest.approx(-50, abs=0.5)
    assert rates["luma", 10.0]["percent"] is None
    (mean,) = (mean for mean in content["means"] if mean["column"] == "luma" and mean["luma_range_db"] == [33.0, 38.0])
    assert (mean["clips_spanned"], mean["clips"], round(mean["percent"])) == (1, 1, -50)
    plot_rd(result, tmp_path / "rd.png")
    assert (tmp_path / "rd.png").read_bytes().startswith(b"\x89PNG")


def test_says_what_is_left_out_and_what_does_not_span(clip_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, result = measured(clip_path, monkeypatch)
    console = Console(width=200, file=io.StringIO(), record=True)
    print_rd(result, console)
    text = console.export_text()
    assert "vp9 is left out: no such encoder" in text
    assert "no span" in text
    assert "10-20 dB luma: the anchor spans" in text
    assert "-50" in text


def test_kinds_by_name_and_by_motion() -> None:
    named = [kind_of(name, 0.9, ["head"], ["car"]) for name in ("a-head", "carphone", "akiyo")]
    assert named == ["moving", "other", "webcam"]
    assert [kind_of("x", moved, (), ()) for moved in (0.02, 0.4)] == ["webcam", "moving"]
    still = np.full((40, 50), 90, np.float32)
    half = still.copy()
    half[:16] += 9
    assert moved_share([still, half, half]) == 0.25


def test_our_own_codec_is_a_peer(source: Source) -> None:
    peer = SplatPeer(importance=False, threads=1)
    coded = peer.encode(source.pictures[:2], source.fps, 20)
    assert len(coded.pictures) == len(coded.sizes_bytes) == len(coded.packets) == 2
    assert coded.packets[0] >= 2  # epoch record and key frame
    assert "no importance" in peer.settings
    delayed = SplatPeer(importance=False, threads=1, delay_frames=1)
    coded = delayed.encode([source.pictures[0]] * 4, source.fps, 20)
    assert len(coded.pictures) == len(coded.sizes_bytes) == len(coded.packets) == 4
    assert 0 in coded.sizes_bytes, "a midpoint takes nothing"
    assert delayed.settings != peer.settings
    assert peer.settings != SplatPeer(threads=1).settings
    assert SplatPeer(qualities=(30, 10), extend=False).ladder == Ladder((10, 30), 10, 30, 6.0)


def test_gsvc_is_a_peer(source: Source) -> None:
    clip = GsvcPeer(effort="fast", threads=1).encode(source.pictures[:3], source.fps, 30)
    stills = GsvcPeer(effort="fast", threads=1, stills=True).encode(source.pictures[:3], source.fps, 30)
    assert clip.sizes_bytes[0] == stills.sizes_bytes[0] == stills.sizes_bytes[1] > clip.sizes_bytes[1]
    assert min(mean_luma_psnr_db(coded.pictures, source.pictures[:3]) for coded in (clip, stills)) > 20
    assert GsvcPeer().settings != GsvcPeer(effort="slow").settings


def test_refuses_unknown_names(clip_path: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected names of vp8"):
        measure_rd(RdOptions(clip_path, against=("h261",)), quiet)
    arguments = ["bench", "rd", "--clips", str(clip_path), "--json", str(tmp_path / "no" / "rd.json")]
    assert main(arguments) == EXIT_BAD_INPUT
    assert "cannot be written" in capsys.readouterr().err
    assert main([*arguments[:-1], str(tmp_path / "rd.json"), "--metrics", "vmaf"]) == EXIT_BAD_INPUT
    assert "expected names of luma_db" in capsys.readouterr().err


def test_the_command(clip_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "rd.json"
    arguments = ["bench", "rd", "--clips", str(clip_path), "--json", str(output), "--frames", "3"]
    options = ["--against", "x264", "--qualities", "10,60", "--metrics", "luma_db", "--ranges", "33:35"]
    assert main([*arguments, *options, "--no-importance", "--cache", str(tmp_path / "cache")]) == 0
    assert "our rate over theirs" in capsys.readouterr().out
    content = json.loads(output.read_text())
    assert set(content["clips"][0]["points"]) == {"splatcall", "x264-ultrafast", "x264-medium"}
