"""The `splatcall` command: arguments to calls, errors to one clear line and an exit code."""

import argparse
import importlib.metadata
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from codec import __version__
from codec.cli_bench import add_bench
from codec.cli_values import (
    check_folder_of,
    frame_range,
    positive_number,
    positive_whole,
    quality_number,
    region,
    size,
    whole,
)
from codec.errors import CodecError

__all__ = ["EXIT_BAD_INPUT", "main"]

EXIT_BAD_INPUT = 2
_EXIT_INTERRUPTED = 130
_COMMANDS_GROUP = "splatcall.commands"  # entry points of other packages that add a command

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 2 for bad input or arguments, 130 when interrupted."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    parsed = _build_parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = parsed.run
    try:
        return run(parsed)
    except (CodecError, OSError) as error:
        print(f"splatcall {parsed.command}: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        return _EXIT_INTERRUPTED


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="splatcall", description="Video as small sets of 2D Gaussian splats.")
    parser.add_argument("--version", action="version", version=f"splatcall {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_encode(commands)
    _add_decode(commands)
    _add_info(commands)
    for entry in importlib.metadata.entry_points(group=_COMMANDS_GROUP):
        entry.load()(commands)
    add_bench(commands)
    return parser


def _add_encode(commands: Commands) -> None:
    parser = commands.add_parser("encode", help="a clip to a .splatv file")
    parser.add_argument("clip", type=Path, metavar="CLIP")
    parser.add_argument("output", type=Path, metavar="OUT.splatv")
    parser.add_argument("--size", type=size, metavar="WxH", help="scale to exactly this size in px")
    parser.add_argument("--frames", type=positive_whole, metavar="N", help="the first N pictures only")
    parser.add_argument(
        "--profile",
        choices=("splats", "gsvc"),
        default="splats",
        help="gsvc: a baseline of additive splats, to compare with",
    )
    rate = parser.add_mutually_exclusive_group()
    rate.add_argument("--quality", type=quality_number, default=50.0, metavar="Q", help="0..100 (default 50)")
    rate.add_argument("--bitrate-kbps", type=positive_number, metavar="K", help="kbit/s of the whole stream")
    parser.add_argument("--max-splats", type=positive_whole, metavar="N", help="at most this many splats, up to 16000")
    parser.add_argument("--effort", choices=("best", "live"), default="best", help="live: exactly the server's path")
    parser.add_argument(
        "--latency-ms", type=positive_number, default=30.0, metavar="T", help="of one frame with --effort live"
    )
    parser.add_argument(
        "--delay-frames",
        type=int,
        choices=(0, 1),
        default=0,
        help="1: hold a picture back, so that a frame may show two",
    )
    parser.add_argument("--no-importance", action="store_true", help="weigh faces and persons like the rest")
    parser.add_argument(
        "--patch-every", type=positive_number, metavar="S", help="store a patch to seek by every S seconds"
    )
    parser.add_argument("--threads", type=positive_whole, metavar="N", help="1..64 (default: one a core)")
    parser.add_argument("--seed", type=whole, default=0, metavar="N", help="of every random choice (default 0)")
    parser.add_argument(
        "--work",
        type=Path,
        metavar="FILE",
        help="the work of every picture: written, or where FILE exists done again for the same bytes",
    )
    parser.add_argument("--stats", type=Path, metavar="F.json", help="write figures of every frame")
    parser.set_defaults(run=_run_encode)


def _add_decode(commands: Commands) -> None:
    parser = commands.add_parser("decode", help="a .splatv file to a clip or a picture")
    parser.add_argument("input", type=Path, metavar="IN")
    parser.add_argument("output", type=Path, metavar="OUT.{y4m,mp4,png}")
    parser.add_argument("--scale", type=positive_number, default=1.0, metavar="S", help="render S times as large")
    parser.add_argument("--region", type=region, metavar="X,Y,W,H", help="only this part, in px of the coded picture")
    parser.add_argument("--frames", type=frame_range, default=slice(None), metavar="A:B", help="from A up to before B")
    parser.set_defaults(run=_run_decode)


def _add_info(commands: Commands) -> None:
    parser = commands.add_parser("info", help="what a .splatv file holds and where its bits go")
    parser.add_argument("input", type=Path, metavar="IN")
    parser.set_defaults(run=_run_info)


def _run_encode(arguments: argparse.Namespace) -> int:
    from codec.transcode import EncodeOptions, encode_clip  # the encoder loads MediaPipe: only when needed

    options = EncodeOptions(
        size=arguments.size,
        frames=arguments.frames,
        quality=arguments.quality,
        bitrate_kbps=arguments.bitrate_kbps,
        max_splats=arguments.max_splats,
        effort=arguments.effort,
        latency_ms=arguments.latency_ms,
        importance=not arguments.no_importance,
        delay_frames=arguments.delay_frames,
        patch_every_s=arguments.patch_every,
        seed=arguments.seed,
        work=arguments.work,
        profile=arguments.profile,
        **({} if arguments.threads is None else {"threads": arguments.threads}),
    )
    check_folder_of(arguments.stats)
    with _progress("encoding") as advance:
        report = encode_clip(arguments.clip, arguments.output, options, advance)
    if arguments.stats:
        report.write_json(arguments.stats)
    print(report.summary())
    return 0


def _run_decode(arguments: argparse.Namespace) -> int:
    from codec.transcode import decode_clip

    with _progress("decoding") as advance:
        frames = decode_clip(
            arguments.input, arguments.output, arguments.scale, arguments.region, arguments.frames, advance
        )
    print(f"{arguments.output}: {frames} frames")
    return 0


def _run_info(arguments: argparse.Namespace) -> int:
    from codec.stream_info import describe_stream

    Console(soft_wrap=True).print(describe_stream(arguments.input))
    return 0


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show a progress bar on stderr from the first frame on; gives a function of (frames done, frames expected)."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=Console(stderr=True))
    task = bar.add_task(what, total=None)

    def advance(done: int, expected: int | None) -> None:
        # nothing is shown for input that is refused at once
        if not bar.live.is_started:
            bar.start()
        bar.update(task, completed=done, total=expected)

    try:
        yield advance
    finally:
        if bar.live.is_started:
            bar.stop()
