"""Pictures in, frames out: orchestration of importance, motion, the closed loops and packing."""

import copy
import logging
import time
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from codec.bitstream.epoch import pack_epoch
from codec.bitstream.frame import parse_frame, serialize_key, serialize_lead, serialize_p
from codec.bitstream.header import parse_header
from codec.config import EncoderConfig
from codec.engine import (
    BEST_PLAN,
    START_PLAN,
    EngineHabits,
    GrowingEngine,
    Growth,
    KeyFrameFit,
    KeyPlan,
    PFrameEngine,
    PFrameFigures,
    PFramePlan,
)
from codec.epoch_plan import blocks_of_key, is_unfinished, next_epoch
from codec.errors import ConfigError, StreamStateError
from codec.hash_schedule import HashSchedule
from codec.importance import ImportanceSchedule, lambda_map_of
from codec.motion import FlowEstimator
from codec.rate_bucket import sent_bits
from codec.rate_control import BitrateControl, Sent, lambda_of_quality, rhythm_factor, shortage_factor
from codec.renewal import Renewal
from codec.scene import SceneCutTest, luma_of
from codec.state import apply_frame, state_hash, state_of_part
from codec.types import (
    FIELDS,
    KIND_NORMALISED,
    EncodedFrame,
    FloatArray,
    FrameStats,
    FrameWork,
    IntArray,
    KeyCommands,
    PCommands,
    SplatState,
)
from codec.work import FrameClock, WorkCalibrator

__all__ = ["Encoder", "EncoderMemory"]

logger = logging.getLogger(__name__)

_CALM_SHARE = 0.1  # changed splats below which a scene is calm
_SHARED = {"_config", "_engine", "_flow"}  # attributes that no frame changes, or only by loading a state
_MOST_GROWTH_BITS = 8600.0  # of a frame's new splats: they must fit into its first part
_PACK_RESERVE_MS = 1.5  # kept back of a budget for packing at first; then follows what packing took


@dataclass(frozen=True)
class EncoderMemory:
    """What an encoder was at one moment."""

    own: dict[str, object]  # attributes that frames change
    engine: PFrameEngine | None
    habits: EngineHabits | None  # of the engine
    growth: Growth | None  # of an engine whose picture was still growing


class Encoder:
    """Encodes pictures of one size; holds the state that every decoder of its frames holds.

    Not for two threads at once. `state` is the truth after the last frame; `last_changed` [slots] has the frame number
    at which each slot last changed, -1 for never.
    """

    def __init__(self, config: EncoderConfig, state: SplatState | None = None, *, new_epoch: bool = False) -> None:
        """Make an encoder; with a state, as of another encoder that died, it goes on from there without a key frame.

        With `new_epoch` its first frame is a key frame, of the epoch after the state's and numbered after it; the state
        may then be of another size. Raises ConfigError for a state of another size, or for a new epoch after nothing.
        """
        if new_epoch and state is None:
            raise ConfigError("new_epoch: expected the state of the epoch before, got none")
        self._config = config
        self._importance = ImportanceSchedule(config)
        self._flow = FlowEstimator()
        self._scene = SceneCutTest()
        self._rate = self._bitrate_control()
        self._engine: PFrameEngine | None = None
        self._luma: npt.NDArray[np.uint8] | None = None
        self._midpoint = False
        self._frames = 0
        self._frames_since_key = 0
        self._share_changed = 1.0
        self._renewal = Renewal()
        self._shortage = 1.0  # factor on lambda where time is short
        self._grown_bits: float | None = None  # of the last frame's new splats, while a picture grows
        self._other_bits = 0.0  # of the last frame of a growing picture, beside its new splats
        self._pack_ms = _PACK_RESERVE_MS
        self._calibrator = WorkCalibrator(config.threads)
        self._hashes = HashSchedule(config, time.perf_counter())
        self._time_s = 0.0
        self._quality = config.quality  # of the last frame
        self._sent = Sent(True)  # what became of the frame, at a bitrate
        self.state: SplatState | None = state
        self.last_changed = np.full(0 if state is None else state.epoch.slots, -1, np.int64)
        if state is not None and not new_epoch and not is_unfinished(state):
            self._adopt(state)

    def encode(
        self,
        rgb: npt.NDArray[np.uint8],
        *,
        budget_ms: float | None = None,
        force_key: bool = False,
        work: FrameWork | None = None,
        midpoint: bool = False,
        time_s: float | None = None,
    ) -> EncodedFrame:
        """Encode the next picture, uint8 [H, W, 3]; time_s: when it was taken, by default as the frame rate says.

        budget_ms bounds the wall time of a P-frame, the most useful work first; by default `latency_ms` where the
        effort is "live" and nothing where it is "best". Where other processes take the cores meanwhile, the frame may
        take up to twice as long. With `work`, as an earlier run of the same pictures and options gave it, that bounds
        the frame instead and its bytes are the same. With `midpoint` one picture was left out before this one, and a
        P-frame asks for the midpoint of the states around it to be shown instead. At a bitrate the frame may be of kind
        "skip". Raises ConfigError for a picture of another size.
        """
        started, cpu_started = time.perf_counter(), time.process_time()
        self._check(rgb)
        if budget_ms is None and self._config.effort == "live":
            budget_ms = self._config.latency_ms
        self._midpoint = midpoint
        self._frames += midpoint
        stages: dict[str, float] = {}
        self._time_s = self._frames * self._config.fps[1] / self._config.fps[0] if time_s is None else time_s
        if self._rate is not None and not (force_key or self.state is None or self._rate.admits(self._time_s)):
            self._sent = self._rate.flush(self._time_s)
            frame = self._frame("skip", (), None, 0)
        else:
            clock = None if budget_ms is None else FrameClock(started, cpu_started, budget_ms / 1000)
            frame = self._encode_picture(rgb, clock, force_key, work, stages)
        self._frames += 1
        stats = replace(
            frame.stats,
            bucket=None if self._rate is None else self._rate.filled(self._time_s),
            encode_ms=(time.perf_counter() - started) * 1000,
            cpu_ms=(time.process_time() - cpu_started) * 1000,
            stages_ms=stages,
        )
        return replace(frame, stats=stats)

    @property
    def config(self) -> EncoderConfig:
        """What the encoder was asked for."""
        return self._config

    @property
    def weights(self) -> FloatArray:
        """The importance of each 16 px block in the last picture, [rows, columns]; raises StreamStateError without."""
        if self._importance.weights is None:
            raise StreamStateError("no picture has been encoded yet")
        return self._importance.weights

    def remember(self) -> "EncoderMemory":
        """Return everything that the next frames depend on, to go back to."""
        own = {name: copy.deepcopy(value) for name, value in vars(self).items() if name not in _SHARED}
        engine = self._engine
        habits = None if engine is None else engine.habits()
        return EncoderMemory(own, engine, habits, engine.growth() if isinstance(engine, GrowingEngine) else None)

    def go_back(self, memory: "EncoderMemory") -> None:
        """Be as at `remember`, as if what was encoded since then had not been; of use once for each memory."""
        vars(self).update(memory.own)
        self._engine = memory.engine
        if isinstance(memory.engine, GrowingEngine) and memory.growth is not None:
            memory.engine.go_back(memory.growth)
        if self._engine is not None and memory.habits is not None and self.state is not None:
            self._engine.take_up(memory.habits)
            self._engine.load(self.state)

    def close(self) -> None:
        """Free what MediaPipe holds. The encoder is of no use afterwards."""
        self._importance.close()

    # -- parts of a frame

    def _encode_picture(
        self,
        rgb: npt.NDArray[np.uint8],
        clock: FrameClock | None,
        force_key: bool,
        work: FrameWork | None,
        stages: dict[str, float],
    ) -> EncodedFrame:
        """Encode a picture that is not left out beforehand."""
        luma = luma_of(rgb)
        cut = self._scene.is_cut(luma)
        started = time.perf_counter()
        weights = self._importance.look(rgb, self._frames)
        stages["importance"] = (time.perf_counter() - started) * 1000
        if self.state is None or self._engine is None or force_key or cut:
            frame = self._encode_key(rgb, weights, stages)
        else:
            frame = self._encode_p(rgb, luma, weights, clock, work, stages)
        if frame.kind != "skip":
            self._luma = luma
        return frame

    def _check(self, rgb: npt.NDArray[np.uint8]) -> None:
        """Raise ConfigError unless the picture is what the configuration says."""
        expected = (self._config.height_px, self._config.width_px, 3)
        if rgb.shape != expected or rgb.dtype != np.uint8:
            raise ConfigError(f"picture: expected uint8 {expected}, got {rgb.dtype} {rgb.shape}")

    def _bitrate_control(self) -> BitrateControl | None:
        """Return a control where a bitrate is asked for."""
        config = self._config
        if config.bitrate_kbps is None:
            return None
        return BitrateControl(config.bitrate_kbps, config.fps[0] / config.fps[1], config.width_px, config.height_px)

    def _encode_key(self, rgb: npt.NDArray[np.uint8], weights: FloatArray, stages: dict[str, float]) -> EncodedFrame:
        """Begin an epoch."""
        config = self._config
        before = None if self.state is None else self.state.epoch
        epoch = next_epoch(config, before, blocks=1)
        fitter = KeyFrameFit(epoch, config.max_splats, config.threads, config.seed)
        commands, pool = self._fit_key(fitter, rgb, weights)
        stages.update(fitter.stages_ms)
        started = time.perf_counter()
        expected = GrowingEngine.expected_splats(len(commands.splats), len(pool))
        epoch = next_epoch(config, before, blocks_of_key(expected))
        number = 0 if self.state is None else self.state.frame_number + 1
        self.last_changed = np.full(epoch.slots, number, np.int64)
        if len(pool):
            part, kept = serialize_lead(epoch, number, commands)
            parts: tuple[bytes, ...] = (part,)
            later = np.insert(commands.splats[~kept], 8, KIND_NORMALISED, axis=1)
            commands, pool = KeyCommands(commands.base_levels, commands.splats[kept]), np.concatenate([pool, later])
            lead, errors = len(commands.splats), fitter.lead_errors()
            engine = GrowingEngine(epoch, config.threads, pool, lead, errors, config.max_splats)
            self._adopt(state_of_part(epoch, number, commands), engine)
        else:
            parts = serialize_key(epoch, number, commands, None)
            state = SplatState.empty(epoch)
            state.frame_number = number - 1
            apply_frame(state, parse_frame(parts, epoch))
            self._adopt(state)
        stages["pack"] = (time.perf_counter() - started) * 1000
        record = pack_epoch(epoch)
        self._frames_since_key = 0
        self._share_changed = self._shortage = 1.0
        self._renewal = Renewal()
        if self._rate is not None:
            self._sent = self._rate.push_key(self._time_s, self._quality, _sizes(parts, record), whole=not len(pool))
        lambda_ = lambda_of_quality(self._quality).key
        return self._frame("key", parts, record, len(commands.splats), lambda_=lambda_)

    def _fit_key(
        self, fitter: KeyFrameFit, rgb: npt.NDArray[np.uint8], weights: FloatArray
    ) -> tuple[KeyCommands, IntArray]:
        """Return a key frame, and the splats [n, 9] that are to follow it: some live, or at a bitrate."""
        lambda_map, nothing = lambda_map_of(weights), np.zeros((0, FIELDS), np.int32)
        plan = START_PLAN if self._config.effort == "live" else KeyPlan()
        if self._rate is None:
            lambda_ = lambda_of_quality(self._quality).key
            if self._config.effort == "live":
                return fitter.begin(rgb, weights, lambda_map, lambda_, plan)
            return fitter.fit(rgb, weights, lambda_map, lambda_, BEST_PLAN), nothing
        self._quality = self._rate.growing_quality(self._time_s)
        commands, pool = fitter.begin(rgb, weights, lambda_map, lambda_of_quality(self._quality).key, plan)
        if not len(pool):  # it is too small to grow, and must fit as it is
            self._quality = self._rate.key_quality(self._time_s)
            commands = fitter.fit(rgb, weights, lambda_map, lambda_of_quality(self._quality).key, plan)
        return commands, pool

    def _encode_p(
        self,
        rgb: npt.NDArray[np.uint8],
        luma: npt.NDArray[np.uint8],
        weights: FloatArray,
        clock: FrameClock | None,
        work: FrameWork | None,
        stages: dict[str, float],
    ) -> EncodedFrame:
        """Move the state nearer to the picture."""
        assert self.state is not None
        assert self._engine is not None
        state, engine = self.state, self._engine
        self._frames_since_key += 1
        started = time.perf_counter()
        engine.set_target(rgb)
        lambda_map, before = lambda_map_of(weights), state.copy()
        stages["target"] = (time.perf_counter() - started) * 1000
        plan = self._plan(clock, work)
        assert plan.work is not None
        started = time.perf_counter()
        flows = [] if plan.quick else self._flows(luma)
        stages["flow"] = (time.perf_counter() - started) * 1000
        figures, parts = self._code_p(before, flows, lambda_map, plan, stages)
        self._calibrator.note(figures)
        done = replace(plan.work, cut=figures.cut)
        if self._rate is not None:
            growth, spent = self._grown_bits, figures.bits / plan.bits
            self._sent = self._rate.push_p(self._time_s, _sizes(parts), spent, growth_bits=growth)
            if not self._sent.fits:
                engine.load(before)
                self.state = before
                return replace(self._frame("skip", (), None, 0), work=done)
        if isinstance(engine, GrowingEngine):
            engine.settle(state)
        engine.follow_tables(parse_header(parts[0]).table_set)
        self.last_changed[np.any(before.splats != state.splats, axis=1)] = state.frame_number
        self._note_p(figures, parts)
        self._pack_ms += 0.2 * (stages["pack"] - self._pack_ms)
        frame = self._frame("p", parts, None, figures.changed, lambda_=plan.lambda_, units=done.units)
        return replace(frame, unvisited=figures.unvisited, work=done)

    def _code_p(
        self,
        before: SplatState,
        flows: list[FloatArray],
        lambda_map: FloatArray,
        plan: PFramePlan,
        stages: dict[str, float],
    ) -> tuple[PFrameFigures, tuple[bytes, ...]]:
        """Bring engine and state nearer to the target; return what that took and the parts of the frame."""
        assert plan.work is not None
        assert self._engine is not None
        growing = isinstance(self._engine, GrowingEngine) and not self._engine.has_grown
        commands, figures = self._engine.encode(flows, lambda_map, plan)
        stages.update(figures.stages_ms)
        started = time.perf_counter()
        try:
            parts = self._pack_p(before, commands, plan.work.hashed)
        except StreamStateError:
            logger.info("frame %d: its cells do not fit into one part, coded again without", before.frame_number + 1)
            self._engine.load(before)
            commands, figures = self._engine.encode([], lambda_map, _without_cells(plan))
            parts = self._pack_p(before, commands, plan.work.hashed)
        self._grown_bits = None
        if isinstance(self._engine, GrowingEngine) and growing:
            self._grown_bits = self._engine.bits_of(commands)
            self._other_bits = max(8 * sum(map(len, parts)) - self._grown_bits, 0.0)
        stages["pack"] = (time.perf_counter() - started) * 1000
        return figures, parts

    def _pack_p(self, before: SplatState, commands: PCommands, hashed: bool) -> tuple[bytes, ...]:
        """Bring the state to what the engine holds and return the frame that leads there from the one before."""
        assert self.state is not None
        assert self._engine is not None
        engine, number = self._engine, before.frame_number + 1
        while True:
            engine.store(self.state)
            if isinstance(engine, GrowingEngine):
                engine.place(self.state, commands)
            self.state.frame_number = number
            hash16 = state_hash(self.state) if hashed else None
            try:
                parts = serialize_p(
                    before, number, commands, None, hash16=hash16, midpoint=self._midpoint, likely_set=engine.table_set
                )
            except StreamStateError:
                if not isinstance(engine, GrowingEngine) or not engine.hold_back(commands):
                    raise
                continue
            if self._rate is None or self._rate.fits(self._time_s, _sizes(parts)):
                return parts
            if not isinstance(engine, GrowingEngine) or not engine.hold_back(commands):
                return parts

    def _flows(self, luma: npt.NDArray[np.uint8]) -> list[FloatArray]:
        """Return the flows offered to the cells: from the state's picture and from the last source if there is one."""
        assert self._engine is not None
        sources = [*([] if self._luma is None else [self._luma]), self._engine.luma()]
        flows = (self._flow.flow(source, luma) for source in sources)
        return [flow for flow in flows if flow is not None]

    def _plan(self, clock: FrameClock | None, work: FrameWork | None) -> PFramePlan:
        """Return the work of the next P-frame: what was done before where `work` says so, else what the time allows."""
        lambda_, bits = self._lambda_and_bits()
        hashed = self._hashes.due(self._frames, time.perf_counter())
        clock_s = 0.0
        if work is None and clock is not None:
            left_s = clock.left_s(time.perf_counter(), time.process_time())
            clock_s = max(left_s - 1.3 * self._pack_ms / 1000, 0.001)
            work = self._calibrator.work_for(1000 * clock_s, hashed=hashed)
        plan = PFramePlan(
            lambda_,
            work=work or FrameWork(hashed=hashed),
            bits=bits,
            growth_bits=self._growth_bits(),
            growth_lambda=lambda_of_quality(self._quality).key,
        )
        if work is None or work.units == 0:
            # a bitrate sets the lambda by itself
            factor = self._renewal.lambda_factor if self._rate is None else 1.0
            return replace(plan, lambda_=factor * lambda_)
        return replace(plan, sweeps=2, affine=False, screen=True, quick=True, clock_s=clock_s)

    def _lambda_and_bits(self) -> tuple[float, float]:
        """Return the lambda of the next P-frame and the bits that its commands may take, 0 for any number."""
        if self._rate is None:
            calm = self._share_changed < _CALM_SHARE
            # only where much moves are bits worn out by the next frame
            factor = self._shortage**self._renewal.moving * rhythm_factor(self._frames_since_key, calm)
            return factor * lambda_of_quality(self._quality).p, 0.0
        self._quality = self._rate.quality
        # without a rhythm: its good frames would be peaks of rate, and a pulse
        return lambda_of_quality(self._quality).p, self._rate.command_bits(self._time_s)

    def _growth_bits(self) -> float:
        """Return the bits that a frame's new splats may take, so that a start bursts no rate."""
        if self._rate is None:
            return _MOST_GROWTH_BITS
        return min(self._rate.growth_bits(self._time_s, self._other_bits), _MOST_GROWTH_BITS)

    def _note_p(self, figures: PFrameFigures, parts: tuple[bytes, ...]) -> None:
        """Keep what later frames are planned by."""
        assert self.state is not None
        live = int(np.count_nonzero(self.state.splats[:, 8]))
        self._shortage = shortage_factor(self._shortage, figures.unvisited / max(live, 1))
        self._share_changed += 0.3 * (figures.changed / max(live, 1) - self._share_changed)
        self._renewal.note(8 * sum(map(len, parts)) - (self._grown_bits or 0.0), live)

    def _frame(
        self,
        kind: str,
        parts: tuple[bytes, ...],
        record: bytes | None,
        changed: int,
        *,
        lambda_: float = 0.0,
        units: int = 0,
    ) -> EncodedFrame:
        """Return a frame of the present state, its times still to be filled in."""
        assert self.state is not None
        splats, sizes = int(np.count_nonzero(self.state.splats[:, 8])), _sizes(parts, record)
        stats = FrameStats(
            self._frames,
            kind,
            sum(sizes),
            0.0,
            0.0,
            splats,
            changed,
            {},
            quality=self._quality,
            lambda_=lambda_,
            units=units,
            sent_bits=sent_bits(sizes) if self._rate is None else self._sent.bits,
        )
        epoch, number, hash16 = self.state.epoch.epoch, self.state.frame_number, state_hash(self.state)
        midpoint = self._midpoint and kind == "p"
        held = self._sent.held
        return EncodedFrame(epoch, number, kind, parts, record, stats, hash16, midpoint=midpoint, held=held)

    def _adopt(self, state: SplatState, engine: PFrameEngine | None = None) -> None:
        """Make a state the present one and load an engine with it, a plain one unless another is given."""
        epoch = state.epoch
        if (epoch.width_px, epoch.height_px) != (self._config.width_px, self._config.height_px):
            raise ConfigError(
                f"state: expected one of {self._config.width_px}x{self._config.height_px} px, "
                f"got {epoch.width_px}x{epoch.height_px}"
            )
        self.state = state
        table_set = 0 if self._engine is None else self._engine.table_set
        self._engine = engine or PFrameEngine(epoch, self._config.threads, table_set)
        self._engine.load(state)


def _sizes(parts: tuple[bytes, ...], record: bytes | None = None) -> list[int]:
    """Return the sizes of what is sent of a frame, its epoch's record first."""
    return [len(piece) for piece in (record or b"", *parts) if piece]


def _without_cells(plan: PFramePlan) -> PFramePlan:
    """Return a quarter of a plan's work for a second try of the same frame without cells."""
    assert plan.work is not None
    work = replace(plan.work, units=-(-plan.work.units // 4), cut=-1)
    return replace(plan, cell_shift=False, quick=False, work=work, clock_s=0.0)
