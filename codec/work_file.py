"""The file of `--work`: what bounded the work of every picture of a run, so that it can be done again alike.

JSON, one object a line. The first says of which run; each other line is one picture: its kind, and for P-frames a
`FrameWork`.
"""

import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Protocol, TextIO

import numpy as np
import numpy.typing as npt

from codec.config import EncoderConfig
from codec.errors import WorkFileError
from codec.types import EncodedFrame, FrameWork

__all__ = ["WorkReader", "WorkRun", "WorkWriter", "open_work"]

_VERSION = 2
_FREE = frozenset({"latency_ms"})  # options that may differ: they act through the work alone
_MOST = 1 << 60

Picture = npt.NDArray[np.uint8]  # [H, W, 3]
Line = dict[str, object]


class WorkRun(Protocol):
    """What a run asks about its work, picture by picture."""

    def of(self, picture: Picture) -> FrameWork | None:
        """Return the work to do on the next picture; None: as the time allows."""
        ...

    def push(self, frame: EncodedFrame) -> None:
        """Take the frame that was made of it."""
        ...


class WorkWriter:
    """Writes down the work of a run."""

    def __init__(self, file: TextIO, config: EncoderConfig) -> None:
        """Write to a file open for writing, at its start."""
        self._file = file
        self._config = config
        self._begun = False

    def of(self, picture: Picture) -> FrameWork | None:
        """Leave the work to the clock."""
        if not self._begun:
            self._begun = True
            self._write(_head(self._config, picture))
        return None

    def push(self, frame: EncodedFrame) -> None:
        """Write a line."""
        self._write({"kind": frame.kind} | ({} if frame.work is None else asdict(frame.work)))

    def _write(self, line: Line) -> None:
        self._file.write(json.dumps(line) + "\n")


class WorkReader:
    """Gives the work of an earlier run again; raises WorkFileError where the file is none, or of another run."""

    def __init__(self, path: Path, config: EncoderConfig) -> None:
        """Read the whole file."""
        self._path = path
        self._config = config
        lines = _objects(path)
        self._head = next(lines, {})
        if self._head.get("splatcall_work") != _VERSION:
            raise WorkFileError(f"{path}: expected a file of --work, version {_VERSION}")
        self._pictures = [_picture(f"{path}: line {number}", line) for number, line in enumerate(lines, start=2)]
        self._next = 0

    def of(self, picture: Picture) -> FrameWork | None:
        """Return the work that was done on this picture."""
        if self._next == 0:
            self._compare(picture)
        if self._next >= len(self._pictures):
            raise WorkFileError(f"{self._path}: expected the work of more than {len(self._pictures)} pictures")
        return self._pictures[self._next][1]

    def push(self, frame: EncodedFrame) -> None:
        """Check that the frame is of the kind that it was."""
        expected, number = self._pictures[self._next][0], self._next
        self._next += 1
        if frame.kind != expected:
            raise WorkFileError(
                f"{self._path}: picture {number}: expected a frame of kind {expected}, got {frame.kind}"
            )

    def _compare(self, picture: Picture) -> None:
        """Raise WorkFileError where this run differs from that one in anything but time."""
        for name, value in _head(self._config, picture).items():
            if self._head.get(name) != value:
                was = json.dumps(self._head.get(name))
                raise WorkFileError(f"{self._path}: made with {name} {was}, this run has {json.dumps(value)}")


@contextmanager
def open_work(path: Path | None, config: EncoderConfig) -> Iterator[WorkRun]:
    """Give a reader of a file that exists, else a writer; without a path, one that writes nothing anywhere.

    A file that is written appears under its name when the run is complete.
    """
    if path is None:
        yield _Unwritten()
    elif path.exists():
        yield WorkReader(path, config)
    else:
        unfinished = path.with_name(path.name + ".part")
        try:
            with unfinished.open("w", encoding="utf-8") as file:
                yield WorkWriter(file, config)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)


class _Unwritten:
    """A run that keeps nothing."""

    def of(self, picture: Picture) -> FrameWork | None:
        """Leave the work to the clock."""
        return None

    def push(self, frame: EncodedFrame) -> None:
        """Forget the frame."""


def _head(config: EncoderConfig, picture: Picture) -> Line:
    """Return the first line of a run that begins with this picture."""
    options = {name: value for name, value in asdict(config).items() if name not in _FREE}
    crc32 = zlib.crc32(np.ascontiguousarray(picture).tobytes())
    head: Line = json.loads(json.dumps({"splatcall_work": _VERSION, "first_picture_crc32": crc32, **options}))
    return head


def _objects(path: Path) -> Iterator[Line]:
    """Give the object of each line."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise WorkFileError(f"{path}: expected a file of --work, got bytes that are no text") from error
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise WorkFileError(f"{path}: line {number}: expected JSON") from error
        if not isinstance(value, dict):
            raise WorkFileError(f"{path}: line {number}: expected an object, got {type(value).__name__}")
        yield value


def _picture(where: str, line: Line) -> tuple[str, FrameWork | None]:
    """Return the kind and the work of one picture's line."""
    kind = line.get("kind")
    if not isinstance(kind, str):
        raise WorkFileError(f"{where}: expected a kind, got {kind!r}")
    if kind != "p" and "units" not in line:
        return kind, None
    prices, hashed = line.get("prices"), line.get("hashed")
    if not isinstance(prices, list) or len(prices) != 4:
        raise WorkFileError(f"{where}: expected four prices, got {prices!r}")
    if not isinstance(hashed, bool):
        raise WorkFileError(f"{where}: hashed: expected true or false, got {hashed!r}")
    cells, sweeps, births, growth = (_whole(where, "prices", price, 1, 1 << 30) for price in prices)
    units, cut = _whole(where, "units", line.get("units"), 0, _MOST), _whole(where, "cut", line.get("cut"), -1, _MOST)
    return kind, FrameWork(units, (cells, sweeps, births, growth), cut, hashed)


def _whole(where: str, name: str, value: object, low: int, high: int) -> int:
    """Return a whole number within a range."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise WorkFileError(f"{where}: {name}: expected {low}..{high}, got {value!r}")
    return value
