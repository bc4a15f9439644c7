"""A picture that grows: one part at once, the rest with later frames, within bits and work, as decoders see it."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from codec.bitstream.frame import parse_frame, serialize_key, serialize_p
from codec.engine import START_PLAN, GrowingEngine, KeyFrameFit, PFramePlan
from codec.errors import StreamStateError
from codec.render import render
from codec.state import apply_frame, state_hash
from codec.types import EpochRecord, FrameWork, KeyCommands, PCommands, SplatState

WIDTH, HEIGHT = 384, 256
EPOCH = EpochRecord(0, WIDTH, HEIGHT, (30, 1), (60,))
ONES = np.ones(EPOCH.grid(16), np.float32)
LAMBDA = 60.0

Rgb = npt.NDArray[np.uint8]


def scene(shift: int = 0) -> Rgb:
    """Return a picture with smooth parts and texture that moves to the right, [256, 384, 3]."""
    rng = np.random.default_rng(1)
    noise = rng.standard_normal((HEIGHT // 4, WIDTH // 4)).repeat(4, 0).repeat(4, 1)
    ys, xs = np.mgrid[0:HEIGHT, 0:WIDTH]
    luma = 110 + 50 * np.sin(xs / 31) * np.cos(ys / 23) + 40 * (ys > 130) + 14 * noise * (xs > 200)
    rgb = np.roll(np.stack([luma, luma * 0.8 + 20, 200 - luma], -1), shift, axis=1)
    drawn: Rgb = np.clip(rgb, 0, 255).astype(np.uint8)
    return drawn


def psnr(state: SplatState, rgb: Rgb) -> float:
    """Return the luma PSNR of a state's picture in dB."""
    error = np.clip(render(state)[0], 0, 255) - rgb.astype(np.float64) @ (0.299, 0.587, 0.114)
    return float(10 * np.log10(255**2 / np.mean(error**2)))


class Start:
    """A key frame of the lead, and the engine that brings the rest."""

    def __init__(self, max_splats: int = 16000, fps: int = 30) -> None:
        self.epoch = replace(EPOCH, fps=(fps, 1))
        fit = KeyFrameFit(self.epoch, max_splats, 2, 1)
        self.key, self.pool = fit.begin(scene(), ONES, ONES, LAMBDA, START_PLAN)
        self.parts = serialize_key(self.epoch, 0, KeyCommands(self.key.base_levels, self.key.splats))
        self.state = SplatState.empty(self.epoch)
        apply_frame(self.state, parse_frame(self.parts, self.epoch))
        lead, errors = len(self.key.splats), fit.lead_errors()
        self.engine = GrowingEngine(self.epoch, 2, self.pool, lead, errors, max_splats)
        self.engine.load(self.state)
        self.new = 0  # splats of the last frame

    def frame(
        self, rgb: Rgb, plan: PFramePlan, max_part_bytes: int = 1147, flow_px: float | None = None
    ) -> tuple[bytes, ...]:
        """Encode one frame and check that a decoder comes to the same state; its whole picture moves by flow_px."""
        before = self.state.copy()
        self.engine.set_target(rgb)
        flow = np.stack([np.full((HEIGHT, WIDTH), flow_px or 0.0, np.float32), np.zeros((HEIGHT, WIDTH), np.float32)])
        commands, _ = self.engine.encode([] if flow_px is None else [flow], ONES, plan)
        parts = self._pack(before, commands, max_part_bytes)
        decoded = before.copy()
        apply_frame(decoded, parse_frame(parts, self.epoch))
        assert state_hash(decoded) == state_hash(self.state)
        self.new = len(commands.bulk)
        self.engine.settle(self.state)
        return parts

    def _pack(self, before: SplatState, commands: PCommands, max_part_bytes: int) -> tuple[bytes, ...]:
        while True:
            self.engine.store(self.state)
            self.engine.place(self.state, commands)
            try:
                return serialize_p(before, 1, commands, max_part_bytes=max_part_bytes)
            except StreamStateError:
                if not self.engine.hold_back(commands):
                    raise


PLAN = PFramePlan(2 * LAMBDA, sweeps=1, growth_lambda=LAMBDA)


def test_one_part_at_once_and_all_the_rest_within_half_a_second() -> None:
    start = Start()
    assert len(start.parts) == 1
    assert len(start.pool) > 3 * len(start.key.splats)
    first = psnr(start.state, scene())
    sizes = []
    while not start.engine.has_grown:
        parts = start.frame(scene(), PLAN)
        assert len(parts[0]) <= 1147
        sizes.append(sum(map(len, parts)))
    assert len(sizes) <= 15
    assert max(sizes) < 1200
    assert psnr(start.state, scene()) > first + 4
    whole = KeyFrameFit(EPOCH, 16000, 2, 1).fit(scene(), ONES, ONES, LAMBDA, START_PLAN)
    assert sum(sizes) < 1.35 * sum(map(len, serialize_key(EPOCH, 0, whole)))


def test_a_frame_keeps_to_its_bits() -> None:
    start = Start()
    for bits in (600.0, 2400.0):
        parts = start.frame(scene(), PFramePlan(2 * LAMBDA, sweeps=1, growth_bits=bits, growth_lambda=LAMBDA))
        assert 8 * sum(map(len, parts)) < 1.3 * bits + 400


def test_what_finds_no_room_comes_later() -> None:
    start = Start()
    large = PFramePlan(2 * LAMBDA, sweeps=0, growth_bits=7000.0, growth_lambda=LAMBDA)
    parts = start.frame(scene(), large, max_part_bytes=400)
    assert max(map(len, parts)) <= 400
    grown = int(np.count_nonzero(start.state.splats[:, 8]))
    while not start.engine.has_grown:
        start.frame(scene(), large)
    assert np.count_nonzero(start.state.splats[:, 8]) > 1.5 * grown


def test_a_moving_picture_only_gets_better_while_it_grows() -> None:
    still, moving = Start(), Start()
    quality, shift = [psnr(moving.state, scene())], 0
    while not moving.engine.has_grown:
        shift += 3
        moving.frame(scene(shift), PLAN, flow_px=3.0)
        quality.append(psnr(moving.state, scene(shift)))
        if not still.engine.has_grown:
            still.frame(scene(), PLAN)
    assert all(now > before - 0.4 for before, now in pairwise(quality))
    assert quality[-1] > psnr(still.state, scene()) - 2.5
    assert quality[-1] > psnr(moving.state, scene()) + 4


def test_what_has_become_useless_is_not_sent() -> None:
    start = Start()
    grey: Rgb = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    frames = 0
    while not start.engine.has_grown:
        start.frame(grey, PLAN)
        frames += 1
        assert frames <= 30
    assert np.count_nonzero(start.state.splats[:, 8]) < len(start.key.splats) + 0.2 * len(start.pool)
    assert psnr(start.state, grey) > 35


def test_growth_ends_where_frames_have_no_bits_for_it() -> None:
    start = Start(fps=4)
    for _ in range(12):
        assert not start.engine.has_grown
        start.frame(scene(), PFramePlan(2 * LAMBDA, sweeps=0, growth_bits=0.0, growth_lambda=LAMBDA))
        assert start.new == 0
    assert start.engine.has_grown
    start.frame(scene(), PFramePlan(2 * LAMBDA, sweeps=1))
    assert psnr(start.state, scene()) > psnr(start.state, scene(30))


def test_a_frame_that_is_not_sent_can_be_forgotten() -> None:
    start = Start()
    plan = replace(PLAN, sweeps=0)
    start.frame(scene(), plan)
    before, growth = start.state.copy(), start.engine.growth()
    streams = []
    for _ in range(2):
        start.state = before.copy()
        start.engine.go_back(growth)
        start.engine.load(start.state)
        streams.append([start.frame(scene(shift), plan) for shift in (1, 2)])
        assert len(start.engine.growth().reserve) < len(growth.reserve)
    assert streams[0] == streams[1]


def test_the_same_work_gives_the_same_bytes() -> None:
    work = FrameWork(3_000_000_000, (1000, 1000, 1000, 20_000_000))
    plan = PFramePlan(2 * LAMBDA, sweeps=2, screen=True, growth_lambda=LAMBDA, work=work)
    streams, new = [], []
    for _ in range(2):
        start = Start()
        streams.append([start.frame(scene(shift), plan, flow_px=1.0) for shift in range(4)])
        new.append(start.new)
    assert streams[0] == streams[1]
    assert 0 < new[0] < 3_000_000_000 / 20_000_000


def test_no_more_splats_than_allowed() -> None:
    start = Start(max_splats=300)
    while not start.engine.has_grown:
        start.frame(scene(), PLAN)
    assert np.count_nonzero(start.state.splats[:, 8]) <= 300


def test_a_small_picture_comes_whole() -> None:
    epoch = EpochRecord(0, 96, 80, (30, 1), (40,))
    ones = np.ones(epoch.grid(16), np.float32)
    commands, pool = KeyFrameFit(epoch, 16000, 2, 1).begin(scene()[:80, :96].copy(), ones, ones, LAMBDA, START_PLAN)
    assert len(pool) == 0
    assert len(commands.splats) > 20
