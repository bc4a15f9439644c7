"""What an epoch is begun with: its number, its blocks, the spacing of its base; and whether one can be gone on with."""

from dataclasses import replace
from math import prod

import numpy as np

from codec.config import EncoderConfig
from codec.slots import blocks_for
from codec.types import BLOCK_FILL, EpochRecord, SplatState, Steps

__all__ = ["blocks_of_key", "is_unfinished", "next_epoch"]

_SPARE_BLOCKS = 0.12  # of the blocks a key frame fills, for births
_UNFINISHED_SHARE = 0.45  # of the slots that a grown picture fills: one with fewer splats has not grown
_BASE_SPACINGS_PX = (48, 64, 96, 128, 192, 256)
_FINE_KEY_MEAN = (4, 8, 16, 16, 32)  # steps of means where small splats are worth a bit more each
_FINE_QUALITY = 55.0  # from which they are, if there is the time to place them well
_MOST_BASE_SAMPLES = 800  # of all three planes: the base must fit into the first part of a key frame


def next_epoch(config: EncoderConfig, before: EpochRecord | None, blocks: int) -> EpochRecord:
    """Return the record of the epoch after `before`, of so many blocks, with the finest base that is small enough."""
    record = EpochRecord(
        epoch=0 if before is None else (before.epoch + 1) % 65536,
        width_px=config.width_px,
        height_px=config.height_px,
        fps=config.fps,
        layers=(blocks,),
        tables=1,
        steps=_steps_for(config),
    )
    spacings = (replace(record, base_spacing_px=spacing) for spacing in _BASE_SPACINGS_PX)
    fitting = (spaced for spaced in spacings if prod(spaced.base_shape) <= _MOST_BASE_SAMPLES)
    return next(fitting, replace(record, base_spacing_px=_BASE_SPACINGS_PX[-1]))


def _steps_for(config: EncoderConfig) -> Steps:
    """Return the steps of key frames and changes."""
    fine = config.effort == "best" and config.bitrate_kbps is None and config.quality >= _FINE_QUALITY
    return Steps(key_mean=_FINE_KEY_MEAN) if fine else Steps()


def blocks_of_key(splats: int) -> int:
    """Return the blocks for a key frame of so many splats: its own, one more a part, and spare ones."""
    filled = blocks_for(splats)
    parts = 1 + splats // 150
    return min(1024, filled + parts + max(4, round(_SPARE_BLOCKS * filled)))


def is_unfinished(state: SplatState) -> bool:
    """Whether an encoder died while the picture was still growing: what was to come died with it."""
    return int(np.count_nonzero(state.splats[:, 8])) < _UNFINISHED_SHARE * BLOCK_FILL * state.epoch.blocks
