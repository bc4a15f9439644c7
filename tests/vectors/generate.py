"""Writes the test vectors beside it: `python -m tests.vectors.generate`. README.md says what is where."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from codec.bitstream import make_patch, pack_epoch, parse_frame, serialize_key, serialize_p
from codec.quantize import quantize_base, quantize_key
from codec.state import apply_frame, midpoint_splats, state_hash
from codec.types import (
    CELL_LEVELS_PX,
    SHIFT_LEVELS_PX,
    CellLevel,
    EpochRecord,
    IntArray,
    KeyCommands,
    PCommands,
    ShiftLevel,
    SplatSet,
    SplatState,
    Steps,
)

VECTORS = Path(__file__).parent
Random = np.random.Generator
Cells = tuple[CellLevel, CellLevel, CellLevel, CellLevel]


def random_splats(rng: Random, epoch: EpochRecord, count: int) -> SplatSet:
    """Return splats of all sizes all over the picture."""
    size = np.array([epoch.width_px, epoch.height_px])
    colors = rng.normal((128, 0, 0), (45, 15, 15), (count, 3))
    return SplatSet(
        means_px=(rng.random((count, 2)) * size).astype(np.float32),
        log_scale=rng.uniform(-0.3, 3.6, count).astype(np.float32),
        e1=rng.normal(0, 0.3, count).astype(np.float32),
        e2=rng.normal(0, 0.3, count).astype(np.float32),
        colors=colors.astype(np.float32),
        kinds=np.ones(count, np.uint8),
    )


def random_key(rng: Random, epoch: EpochRecord, count: int) -> KeyCommands:
    """Return a key frame of random splats over a rough base."""
    base = rng.normal((128, 0, 0), (30, 10, 10), (*epoch.base_shape[1:], 3))
    levels = quantize_base(np.moveaxis(base, -1, 0).astype(np.float32))
    return KeyCommands(levels, quantize_key(epoch, random_splats(rng, epoch, count)))


def integers(rng: Random, low: int, high: int, *shape: int) -> IntArray:
    """Return random whole numbers of low..high."""
    return rng.integers(low, high + 1, shape).astype(np.int32)


def random_updates(rng: Random, state: SplatState, count: int, spread: float, blocks: range | None = None) -> PCommands:
    """Return updates and a few deaths of random slots, dead ones among them."""
    low, high = (blocks.start * 32, blocks.stop * 32) if blocks else (0, state.epoch.slots)
    slots = np.sort(rng.choice(np.arange(low, high), min(count, high - low), replace=False)).astype(np.int32)
    dies = rng.random(len(slots)) < 0.06
    deltas = np.rint(rng.normal(0, spread, (len(slots), 8)) * (rng.random((len(slots), 8)) < 0.4)).astype(np.int32)
    deltas[~deltas.any(axis=1), 5] = 1
    return PCommands(update_slots=slots[~dies], update_deltas=deltas[~dies], death_slots=slots[dies])


def random_cells(rng: Random, epoch: EpochRecord, spread: float, share: float, affine: int) -> Cells:
    """Return cells of all levels, affine terms on the coarser three."""
    levels = []
    for level, cell_px in enumerate(CELL_LEVELS_PX):
        grid = epoch.grid(cell_px)
        on = rng.random(grid) < share
        vectors = np.rint(rng.normal(0, spread, (*grid, 2))).astype(np.int32).clip(-2048, 2047)
        terms = integers(rng, -affine, affine, *grid, 4) * (rng.random((*grid, 1)) < 0.4) * (level < 3)
        levels.append(CellLevel(on, vectors, terms.astype(np.int32)))
    a, b, c, d = levels
    return a, b, c, d


def random_shifts(rng: Random, epoch: EpochRecord, limit: int) -> tuple[ShiftLevel, ShiftLevel]:
    """Return colour shifts on some cells of both levels."""
    coarse, fine = (
        ShiftLevel((integers(rng, -limit, limit, *grid, 4) * (rng.random((*grid, 4)) < 0.15)).astype(np.int32))
        for grid in (epoch.grid(cell_px) for cell_px in SHIFT_LEVELS_PX)
    )
    return coarse, fine


def random_births(rng: Random, epoch: EpochRecord, count: int, limit: int, blocks: int | None = None) -> IntArray:
    """Return births of both kinds in random blocks."""
    columns = [
        integers(rng, 0, (blocks or epoch.blocks) - 1, count),
        integers(rng, 1, 2, count),
        integers(rng, 0, epoch.width_px - 1, count),
        integers(rng, 0, epoch.height_px - 1, count),
        integers(rng, 0, 7, count),
        *(integers(rng, -limit, limit, count) for _ in range(3)),
        np.zeros(count, np.int32),
    ]
    return np.column_stack(columns).astype(np.int32)


@dataclass
class Stream:
    """One vector folder in the making: each step is written and the state after it described."""

    name: str
    about: str
    epoch: EpochRecord
    picture_tolerance: float | None = None  # of 255, in each channel; None: no picture
    state: SplatState = field(init=False)
    steps: list[dict[str, object]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Start from nothing."""
        self.state = SplatState.empty(self.epoch)
        self.files["epoch.msgpack"] = pack_epoch(self.epoch)

    def key(self, commands: KeyCommands, layers: IntArray | None = None, max_part_bytes: int = 60000) -> None:
        """Add a key frame."""
        number = self.state.frame_number + 1
        self._frame(serialize_key(self.epoch, number, commands, max_part_bytes=max_part_bytes, layers=layers))

    def p(self, commands: PCommands, max_part_bytes: int = 60000, midpoint: bool = False, hashed: bool = False) -> None:
        """Add a P-frame."""
        before = self.state.copy()
        number = self.state.frame_number + 1

        def serialize(hash16: int | None) -> tuple[bytes, ...]:
            return serialize_p(before, number, commands, 0, hash16, midpoint, max_part_bytes)

        parts = serialize(None)
        if hashed:
            after = before.copy()
            apply_frame(after, parse_frame(parts, self.epoch))
            parts = serialize(state_hash(after))
        self._frame(parts)
        if midpoint:
            self.steps[-1]["midpoint_splats"] = midpoint_splats(before.splats, self.state.splats).reshape(-1).tolist()

    def raw(self, parts: tuple[bytes, ...]) -> None:
        """Add a frame of bytes made by hand."""
        self._frame(parts)

    def _frame(self, parts: tuple[bytes, ...]) -> None:
        """Apply a frame and note it."""
        frame = parse_frame(parts, self.epoch)
        apply_frame(self.state, frame)
        names = self._add_files(f"frame{len(self.steps):02d}", parts)
        self.steps.append(
            {"type": "frame", "kind": frame.kind, "parts": names, "midpoint": frame.midpoint, "hash16": frame.hash16}
            | self._described()
        )

    def patch(self, last_changed: list[int] | None, since: int, max_part_bytes: int = 1147) -> None:
        """Add a patch to the present state; it is applied to `from_step`'s state, or the empty one."""
        changed = None if last_changed is None else np.array(last_changed, np.int64)
        parts = make_patch(self.state, changed, since, max_part_bytes)
        names = self._add_files(f"patch{len(self.steps):02d}", parts)
        step = {"type": "patch", "parts": names, "since": since}
        self.steps.append(step | self._described())

    def _add_files(self, stem: str, parts: tuple[bytes, ...]) -> list[str]:
        """Keep parts as files and return their names."""
        names = [f"{stem}.{number}.bin" for number in range(len(parts))]
        self.files.update(zip(names, parts, strict=True))
        return names

    def _described(self) -> dict[str, object]:
        """Return number, hash and full state as JSON values."""
        return {
            "number": self.state.frame_number,
            "state_hash": state_hash(self.state),
            "splats": self.state.splats.reshape(-1).tolist(),
            "base": self.state.base.reshape(-1).tolist(),
            "vectors": self.state.vectors.reshape(-1).tolist(),
        }

    def write(self, folder: Path) -> None:
        """Write the folder anew."""
        folder.mkdir(exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        for name, data in self.files.items():
            (folder / name).write_bytes(data)
        expected: dict[str, object] = {
            "name": self.name,
            "about": self.about,
            "slots": self.epoch.slots,
            "base_shape": list(self.epoch.base_shape),
            "vectors_shape": list(self.epoch.vectors_shape),
        }
        if self.picture_tolerance is not None:
            expected["picture"] = _write_picture(folder, self.state, self.picture_tolerance)
        expected["steps"] = self.steps
        text = json.dumps(expected, indent=0, separators=(",", ":"))
        (folder / "expected.json").write_text(_one_line_lists(text) + "\n", encoding="ascii")


def _one_line_lists(text: str) -> str:
    """Return indented JSON with each list of numbers on one line."""
    lines: list[str] = []
    for line in text.splitlines():
        numeric = line.lstrip("-").rstrip(",").isdigit() or line in ("]", "],")
        if numeric and lines and lines[-1][-1:] in "[,0123456789" and ":[" in lines[-1] and "{" not in lines[-1]:
            lines[-1] += line
        else:
            lines.append(line)
    return "\n".join(lines)


def _write_picture(folder: Path, state: SplatState, tolerance: float) -> dict[str, object]:
    """Write the last state's picture as floats, Y, Cb, Cr planes, by the slow renderer."""
    from codec.render.reference import render

    picture = render(state).astype("<f4")
    (folder / "picture.f32").write_bytes(picture.tobytes())
    return {"file": "picture.f32", "shape": list(picture.shape), "max_error": tolerance, "rms_error": tolerance / 3}


def small_epoch(number: int = 1, width: int = 150, height: int = 110, layers: tuple[int, ...] = (6,)) -> EpochRecord:
    """Return the epoch of most vectors."""
    return EpochRecord(number, width, height, (30, 1), layers, 48)


def key_whole() -> Stream:
    """A key frame in one part."""
    rng = np.random.default_rng(1)
    stream = Stream("key_whole", "one key frame in one part; picture", small_epoch(), picture_tolerance=1.5)
    stream.key(random_key(rng, stream.epoch, 130))
    return stream


def key_split() -> Stream:
    """A key frame in many small parts, some of which share a 64 px cell."""
    rng = np.random.default_rng(2)
    stream = Stream("key_split", "one key frame in many parts", small_epoch(2, 200, 130, (14,)))
    stream.key(random_key(rng, stream.epoch, 200), max_part_bytes=150)
    return stream


def key_odd() -> Stream:
    """Key frames of a tiny picture with other steps, one of them without a splat."""
    rng = np.random.default_rng(3)
    steps = Steps(key_mean=(1, 2, 4, 64, 128), key_scale=7, key_shape=3, key_luma=5, key_chroma=9)
    epoch = EpochRecord(65535, 37, 3, (25, 2), (4,), 16, steps)
    stream = Stream("key_odd", "a tiny picture, other steps, a frame without splats", epoch)
    stream.key(random_key(rng, epoch, 60))
    stream.key(KeyCommands(np.zeros(epoch.base_shape, np.int32), np.zeros((0, 8), np.int32)))
    return stream


def p_commands() -> Stream:
    """Every command of a P-frame on its own, then all together; picture of the last."""
    rng = np.random.default_rng(4)
    stream = Stream("p_commands", "each P command alone, then all of them", small_epoch(4), picture_tolerance=1.5)
    epoch = stream.epoch
    stream.key(random_key(rng, epoch, 130))
    stream.p(PCommands())
    births = random_births(rng, epoch, 12, 9)
    stream.p(PCommands(births=births))
    stream.p(PCommands(light=np.array([3, -4, 2, -1], np.int32)))
    base_delta = integers(rng, -3, 3, *epoch.base_shape)
    stream.p(PCommands(base_delta=base_delta))
    affine = np.array([20, -31, 27, -8, 5, -6], np.int32)
    stream.p(PCommands(affine=affine))
    stream.p(PCommands(affine=-affine, affine_shape=True))
    stream.p(PCommands(cells=random_cells(rng, epoch, 6, 0.4, 3)))
    stream.p(PCommands(cells=random_cells(rng, epoch, 6, 0.4, 3)))
    stream.p(PCommands(shifts=random_shifts(rng, epoch, 4)))
    stream.p(random_updates(rng, stream.state, 40, 2))
    everything = random_updates(rng, stream.state, 60, 2)
    everything.light = np.array([-2, 3, 0, 1], np.int32)
    everything.base_delta, everything.affine, everything.affine_shape = base_delta, affine, True
    everything.cells = random_cells(rng, epoch, 4, 0.5, 5)
    everything.shifts = random_shifts(rng, epoch, 5)
    everything.births = random_births(rng, epoch, 5, 9)
    stream.p(everything, hashed=True)
    return stream


def p_split() -> Stream:
    """P-frames in several parts, shared commands first, with a hash."""
    rng = np.random.default_rng(5)
    stream = Stream("p_split", "P-frames in several parts, with hash", small_epoch(5, 320, 180, (20,)))
    stream.key(random_key(rng, stream.epoch, 400), max_part_bytes=500)
    for _ in range(3):
        commands = random_updates(rng, stream.state, 220, 2)
        commands.cells = random_cells(rng, stream.epoch, 4, 0.1, 2)
        commands.births = random_births(rng, stream.epoch, 20, 9)
        stream.p(commands, max_part_bytes=300, hashed=True)
    return stream


def p_bulk() -> Stream:
    """P-frames with new splats in bulk: alone, with other commands, more than the blocks have room for, in layers."""
    rng = np.random.default_rng(10)
    about = "P-frames with new splats in bulk; picture"
    stream = Stream("p_bulk", about, small_epoch(10, layers=(7, 4)), 1.5)
    epoch = stream.epoch
    stream.key(random_key(rng, epoch, 60), layers=(np.arange(60) % 4 == 0).astype(np.int32))
    stream.p(PCommands(bulk=random_key(rng, epoch, 40).splats, bulk_block=2))
    everything = random_updates(rng, stream.state, 60, 2)
    everything.light = np.array([-2, 3, 0, 1], np.int32)
    everything.base_delta = integers(rng, -3, 3, *epoch.base_shape)
    everything.cells = random_cells(rng, epoch, 4, 0.5, 5)
    everything.bulk = random_key(rng, epoch, 30).splats
    everything.births = random_births(rng, epoch, 8, 9)
    stream.p(everything, hashed=True, max_part_bytes=500)
    stream.p(PCommands(bulk=random_key(rng, epoch, 104).splats, bulk_block=3))
    stream.p(random_updates(rng, stream.state, 60, 2))
    return stream


def p_midpoint() -> Stream:
    """P-frames that ask for a midpoint."""
    rng = np.random.default_rng(6)
    stream = Stream("p_midpoint", "midpoint flag; the splats to show in between", small_epoch(6))
    stream.key(random_key(rng, stream.epoch, 120))
    for _ in range(2):
        commands = random_updates(rng, stream.state, 50, 3)
        commands.births = random_births(rng, stream.epoch, 6, 5)
        stream.p(commands, midpoint=True)
    return stream


def layered() -> Stream:
    """Two layers: a layered key frame, frames of both and of one."""
    rng = np.random.default_rng(7)
    stream = Stream("layered", "two layers", small_epoch(7, layers=(4, 5)))
    commands = random_key(rng, stream.epoch, 150)
    stream.key(commands, layers=(rng.random(150) < 0.6).astype(np.int32))
    for blocks in (None, range(4), range(4, 9)):
        p = random_updates(rng, stream.state, 50, 2, blocks)
        p.births = random_births(rng, stream.epoch, 8, 5, 4 if blocks == range(4) else None)
        p.cells = random_cells(rng, stream.epoch, 4, 0.3, 2)
        stream.p(p, max_part_bytes=400)
    return stream


def extremes() -> Stream:
    """Escapes in every table and values that saturate, births into full blocks, moved-out splats."""
    rng = np.random.default_rng(8)
    stream = Stream("extremes", "escapes, wide codes, saturation", small_epoch(8))
    epoch = stream.epoch
    stream.key(random_key(rng, epoch, 130))
    for spread, limit in ((40, 40), (900, 300), (9000, 12000)):
        commands = random_updates(rng, stream.state, 80, spread)
        commands.light = integers(rng, -limit, limit, 4)
        commands.base_delta = integers(rng, -limit, limit, *epoch.base_shape)
        commands.affine = integers(rng, -limit, limit, 6)
        commands.affine_shape = True
        commands.cells = random_cells(rng, epoch, spread, 0.5, limit)
        commands.shifts = random_shifts(rng, epoch, limit)
        commands.births = random_births(rng, epoch, 90, limit)
        commands.births[:12, 0] = 2
        np.clip(commands.update_deltas, -16383, 16383, out=commands.update_deltas)
        stream.p(commands)
    return stream


def patches() -> Stream:
    """Patches from nothing and from an earlier frame."""
    rng = np.random.default_rng(9)
    stream = Stream("patches", "a patch from nothing, and one from frame 0; small parts", small_epoch(9))
    stream.key(random_key(rng, stream.epoch, 130))
    last_changed = np.where(stream.state.splats[:, 8] != 0, 0, -1)
    commands = random_updates(rng, stream.state, 30, 3)
    commands.births = random_births(rng, stream.epoch, 6, 5)
    before = stream.state.splats.copy()
    commands.cells = random_cells(rng, stream.epoch, 4, 0.2, 0)
    stream.p(commands)
    last_changed[(stream.state.splats != before).any(axis=1)] = 1
    stream.patch(last_changed.tolist(), 0)
    stream.patch(None, -1, 400)
    return stream


STREAMS: tuple[Callable[[], Stream], ...] = (
    key_whole,
    key_split,
    key_odd,
    p_commands,
    p_split,
    p_bulk,
    p_midpoint,
    layered,
    extremes,
    patches,
)


def main(arguments: list[str]) -> None:
    """Write all vectors, or those named."""
    for make in STREAMS:
        if not arguments or make.__name__ in arguments:
            stream = make()
            stream.write(VECTORS / stream.name)


if __name__ == "__main__":
    main(sys.argv[1:])
