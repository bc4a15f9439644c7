"""What an epoch is begun with."""

from dataclasses import replace
from math import prod

import numpy as np
import pytest

from codec.config import EncoderConfig
from codec.epoch_plan import blocks_of_key, is_unfinished, next_epoch
from codec.slots import blocks_for
from codec.types import BLOCK_FILL, SplatState


def test_the_first_epoch_and_the_one_after_the_last() -> None:
    config = EncoderConfig(640, 360, fps=(25, 2))
    first = next_epoch(config, None, 7)
    assert (first.epoch, first.width_px, first.height_px, first.fps, first.layers) == (0, 640, 360, (25, 2), (7,))
    assert next_epoch(config, first, 7).epoch == 1
    assert next_epoch(config, replace(first, epoch=65535), 7).epoch == 0


def test_small_splats_are_placed_finer_where_quality_and_time_allow() -> None:
    def small_step(config: EncoderConfig) -> int:
        return next_epoch(config, None, 1).steps.key_mean[0]

    coarse = small_step(EncoderConfig(64, 48, quality=50))
    assert small_step(EncoderConfig(64, 48, quality=75)) < coarse
    assert small_step(EncoderConfig(64, 48, quality=75, effort="live")) == coarse
    assert small_step(EncoderConfig(64, 48, quality=75, bitrate_kbps=300)) == coarse


@pytest.mark.parametrize(
    ("width", "height", "spacing"),
    [(64, 48, 48), (640, 360, 48), (1280, 720, 64), (1920, 1080, 96), (4096, 4096, 256)],
)
def test_the_base_is_the_finest_that_is_small_enough(width: int, height: int, spacing: int) -> None:
    record = next_epoch(EncoderConfig(width, height), None, 1)
    assert record.base_spacing_px == spacing
    finer = {48: 48, 64: 48, 96: 64, 128: 96, 192: 128, 256: 192}[spacing]
    if finer < spacing:
        assert prod(replace(record, base_spacing_px=finer).base_shape) > 800
    if spacing < 256:
        assert prod(record.base_shape) <= 800


def test_blocks_leave_room_for_parts_and_births() -> None:
    for splats in (1, 100, 1000, 4000):
        filled, spare = blocks_for(splats), blocks_of_key(splats)
        assert spare >= filled + 1 + splats // 150 + 4
        assert spare >= 1.12 * filled
    assert blocks_of_key(16000) <= 1024
    assert blocks_of_key(10**6) == 1024


def test_a_picture_that_has_not_grown_is_unfinished() -> None:
    state = SplatState.empty(next_epoch(EncoderConfig(64, 48), None, 10))
    enough = int(np.ceil(0.45 * BLOCK_FILL * 10))
    state.splats[: enough - 1, 8] = 1
    assert is_unfinished(state)
    state.splats[enough - 1, 8] = 1
    assert not is_unfinished(state)
