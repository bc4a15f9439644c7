"""The values that travel through the codec: splats, state, commands, frames."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

__all__ = [
    "BLOCK_FILL",
    "BLOCK_SLOTS",
    "CELL_LEVELS_PX",
    "EPOCH_MODULUS",
    "FIELDS",
    "KIND_ADDITIVE",
    "KIND_DEAD",
    "KIND_NORMALISED",
    "NUMBER_MODULUS",
    "SHIFT_LEVELS_PX",
    "VECTOR_CELL_PX",
    "BoolArray",
    "CellLevel",
    "EncodedFrame",
    "EpochRecord",
    "FloatArray",
    "FrameStats",
    "FrameWork",
    "IntArray",
    "KeyCommands",
    "KeyLayout",
    "PCommands",
    "ParsedCells",
    "ParsedFrame",
    "ParsedKeyPart",
    "ParsedPPart",
    "ShiftLevel",
    "SplatSet",
    "SplatState",
    "Steps",
]

IntArray = npt.NDArray[np.int32]
FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

FIELDS = 9  # x, y, s, e1, e2, Y, Cb, Cr, kind
KIND_DEAD, KIND_NORMALISED, KIND_ADDITIVE = 0, 1, 2
BLOCK_SLOTS = 32
BLOCK_FILL = 26  # slots of a block that a key frame fills; the others are spare
CELL_LEVELS_PX = (128, 64, 32, 16)
SHIFT_LEVELS_PX = (64, 32)
VECTOR_CELL_PX = 16
EPOCH_MODULUS, NUMBER_MODULUS = 16, 4096  # of what a frame's header says of its epoch and its number


@dataclass(frozen=True)
class Steps:
    """Quantisation steps of an epoch, each in units of its field (SPEC section 1)."""

    mean: int = 8
    shape: int = 8
    luma: int = 24
    chroma: int = 24
    key_mean: tuple[int, int, int, int, int] = (8, 8, 16, 16, 32)  # by size class, 0 the smallest
    key_scale: int = 13
    key_shape: int = 8
    key_luma: int = 24
    key_chroma: int = 20


@dataclass(frozen=True)
class EpochRecord:
    """What holds from one key frame to the next (SPEC section 2)."""

    epoch: int  # 0 .. 65535
    width_px: int  # 1 .. 4096
    height_px: int  # 1 .. 4096
    fps: tuple[int, int]
    layers: tuple[int, ...]  # blocks of each layer
    base_spacing_px: int = 48  # 16 .. 256
    steps: Steps = Steps()
    tables: int = 1  # version of the entropy tables

    @property
    def blocks(self) -> int:
        """Blocks of all layers."""
        return sum(self.layers)

    @property
    def slots(self) -> int:
        """Slots of all blocks."""
        return self.blocks * BLOCK_SLOTS

    @property
    def base_shape(self) -> tuple[int, int, int]:
        """Shape of the base: (3, bh, bw)."""
        spacing = self.base_spacing_px
        rows = max(3, (2 * self.height_px + spacing) // (2 * spacing))
        columns = max(4, (2 * self.width_px + spacing) // (2 * spacing))
        return 3, rows, columns

    @property
    def vectors_shape(self) -> tuple[int, int, int]:
        """Shape of the vectors: (rows, columns, 2) of 16 px cells."""
        return *self.grid(VECTOR_CELL_PX), 2

    def grid(self, cell_px: int) -> tuple[int, int]:
        """Rows and columns of a grid of square cells that covers the picture."""
        return -(-self.height_px // cell_px), -(-self.width_px // cell_px)

    def layer_range(self, layer: int) -> tuple[int, int]:
        """First block and number of blocks of a layer."""
        return sum(self.layers[:layer]), self.layers[layer]


@dataclass
class SplatState:
    """Everything a decoder holds: integers only."""

    epoch: EpochRecord
    splats: IntArray  # [slots, 9]
    base: IntArray  # [3, bh, bw] 1/4 of 1/255
    vectors: IntArray  # [rows, columns, 2] 1/4 px
    frame_number: int = -1  # -1: none yet

    @classmethod
    def empty(cls, epoch: EpochRecord) -> "SplatState":
        """Return the state before a key frame: dead slots, zero base, zero vectors."""
        return cls(
            epoch,
            np.zeros((epoch.slots, FIELDS), np.int32),
            np.zeros(epoch.base_shape, np.int32),
            np.zeros(epoch.vectors_shape, np.int32),
        )

    def copy(self) -> "SplatState":
        """Return a state that shares no array with this one."""
        return SplatState(self.epoch, self.splats.copy(), self.base.copy(), self.vectors.copy(), self.frame_number)


@dataclass
class SplatSet:
    """Splats as floats, for fits: natural units, not the state's fractions."""

    means_px: FloatArray  # [N, 2]
    log_scale: FloatArray  # [N]
    e1: FloatArray  # [N]
    e2: FloatArray  # [N]
    colors: FloatArray  # [N, 3] Y 0..255, Cb and Cr around 0
    kinds: npt.NDArray[np.uint8]  # [N]

    def __len__(self) -> int:
        """Number of splats."""
        return len(self.kinds)


@dataclass
class CellLevel:
    """Motion of one level's cells; the vectors are absolute, the bitstream makes residuals of them."""

    on: BoolArray  # [rows, columns]
    vectors: IntArray  # [rows, columns, 2] 1/4 px, -2048 .. 2047
    affine: IntArray  # [rows, columns, 4] 1/64, -63 .. 63; zero on level 3


@dataclass
class ShiftLevel:
    """Colour shifts of one level's cells."""

    shifts: IntArray  # [rows, columns, 4] luma gain in 1/64, then Y, Cb, Cr in 1.5 / 255


@dataclass
class PCommands:
    """What one P-frame does to the state, as an encoder says it; None and empty mean absent."""

    light: IntArray | None = None  # [4] gain in 1/256, then Y, Cb, Cr offsets in 1/255
    base_delta: IntArray | None = None  # [3, bh, bw] in 2/255
    affine: IntArray | None = None  # [6] a, b, c, d in 1/4096, tx, ty in 1/8 px
    affine_shape: bool = False
    cells: tuple[CellLevel, CellLevel, CellLevel, CellLevel] | None = None  # 128, 64, 32, 16 px
    shifts: tuple[ShiftLevel | None, ShiftLevel | None] = (None, None)  # 64, 32 px
    update_slots: IntArray = field(default_factory=lambda: np.zeros(0, np.int32))  # [n] ascending
    update_deltas: IntArray = field(default_factory=lambda: np.zeros((0, 8), np.int32))  # [n, 8] in steps
    death_slots: IntArray = field(default_factory=lambda: np.zeros(0, np.int32))  # [m] ascending
    births: IntArray = field(default_factory=lambda: np.zeros((0, FIELDS), np.int32))
    # [b, 9] block, kind, x px, y px, size 0..7, Y, Cb, Cr in steps, 0
    bulk: IntArray = field(default_factory=lambda: np.zeros((0, 8), np.int32))  # [n, 8] new splats on the key lattice
    bulk_block: int = 0  # where the first of them looks for a slot


@dataclass
class KeyCommands:
    """A key frame: base samples in steps, and splats on the key lattice in any order."""

    base_levels: IntArray  # [3, bh, bw] sample divided by the base's key step (32 for Y, 48 for Cb and Cr)
    splats: IntArray  # [n, 8] state values that are multiples of the key steps
    lead: BoolArray | None = None  # [n] those that a frame of several parts has in part 0; None: no choice is made


@dataclass
class ParsedCells:
    """One level's motion as it is coded: residuals against predictions that only a state can give."""

    on: BoolArray  # [rows, columns]
    residuals: IntArray  # [rows, columns, 2], 0 where off
    affine: IntArray  # [rows, columns, 4], 0 where off


@dataclass
class ParsedKeyPart:
    """One part of a key frame, in coded order; resolved to values by the state's module."""

    part: int
    layer: int
    base_levels: IntArray | None  # [3, bh, bw], part 0 only
    first_block: int
    classes: IntArray  # [n] size class, descending
    tile_rows: IntArray  # [n] row of the splat's tile in the grid of its class
    fields: IntArray  # [n, 3] x, y, s
    residuals: IntArray  # [n, 5] e1, e2, Y, Cb, Cr against what state.py predicts


@dataclass
class KeyLayout:
    """A key part as its planes see it; for decoding, one that holds nothing yet."""

    first_cell: int
    cells: int
    first_block: int
    exponents: IntArray  # [5] tile exponent of each class, less 3; 5 where the class is empty
    counts: list[IntArray]  # of each class, splats in each tile [rows, columns]
    places: IntArray  # [n, 2] columns ox, oy inside of the tile, in steps
    scales: IntArray  # [n] l less the reference of its class
    residuals: IntArray  # [n, 5] e1, e2, Y, Cb, Cr


@dataclass
class ParsedPPart:
    """One part of a P-frame."""

    part: int
    layer: int
    light: IntArray | None = None  # [4]
    base_delta: IntArray | None = None  # [3, bh, bw]
    affine: IntArray | None = None  # [6]
    affine_shape: bool = False
    cells: tuple[ParsedCells, ParsedCells, ParsedCells, ParsedCells] | None = None
    shifts: tuple[ShiftLevel | None, ShiftLevel | None] = (None, None)
    bulk: ParsedKeyPart | None = None  # new splats
    bulk_layout: KeyLayout | None = None  # the same, for an encoder
    first_block: int = 0
    blocks: int = 0
    update_slots: IntArray = field(default_factory=lambda: np.zeros(0, np.int32))  # [n] ascending
    update_deltas: IntArray = field(default_factory=lambda: np.zeros((0, 8), np.int32))  # [n, 8] in steps
    death_slots: IntArray = field(default_factory=lambda: np.zeros(0, np.int32))  # [m] ascending
    births: IntArray = field(default_factory=lambda: np.zeros((0, FIELDS), np.int32))
    # [b, 9] block guess delta, kind, x px, y px, size, Y, Cb, Cr in steps, 0


@dataclass
class ParsedFrame:
    """All parts of one frame, in order of their part numbers."""

    epoch: int  # modulo 16
    number: int  # modulo 4096
    kind: str  # "key" or "p"
    midpoint: bool
    hash16: int | None
    key_parts: tuple[ParsedKeyPart, ...] = ()
    p_parts: tuple[ParsedPPart, ...] = ()


@dataclass(frozen=True)
class FrameWork:
    """What bounded the work of one P-frame: the same again gives the same bytes, whatever the clock says."""

    units: int = 0  # to spend; 0: no limit
    prices: tuple[int, int, int, int] = (1, 1, 1, 1)
    # units of a step of the engine in cells, sweeps and births, and of one sweep of a new splat, each at least 1
    cut: int = -1  # job from which on the clock kept all others from starting, -1: it did not
    hashed: bool = False  # the frame carries the state's hash


@dataclass(frozen=True)
class FrameStats:
    """Figures of one encoded frame."""

    index: int
    kind: str  # "key", "p" or "skip"
    bytes: int  # as a call would send it, headers and epoch record included
    encode_ms: float
    cpu_ms: float
    splats: int
    changed: int
    stages_ms: dict[str, float]
    quality: float = 0.0  # 0 .. 100
    lambda_: float = 0.0  # squared error (0..255 scale) that one bit had to save
    units: int = 0  # of work that the frame had, 0: without bound
    sent_bits: int = 0  # that left with it, headers of packets included; of held frames with the one they wait for
    bucket: float | None = None  # share of the bitrate's bucket that is filled after it; None: no bitrate


@dataclass(frozen=True)
class EncodedFrame:
    """One frame as an encoder hands it over.

    One of kind "skip" stands for a picture that the bitrate has no room for: it has no parts, nothing is sent, and the
    state stays what the frame before it left.
    """

    epoch: int
    number: int
    kind: str  # "key", "p" or "skip"
    parts: tuple[bytes, ...]
    epoch_record: bytes | None  # msgpack, with key frames
    stats: FrameStats
    state_hash: int
    unvisited: int = 0  # splats that the time budget left out
    work: FrameWork | None = None  # of P-frames
    held: bool = False  # to leave in one datagram with the next frame
    midpoint: bool = False  # the midpoint of the states before and after it is to be shown, too

    @property
    def pictures(self) -> int:
        """Pictures that the frame stands for."""
        return 2 if self.midpoint else 1
