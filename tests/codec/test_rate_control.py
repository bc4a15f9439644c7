"""Quality to lambda, and the bitrate control on simple models of a coder."""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pytest

from codec.rate_bucket import RateBucket
from codec.rate_control import BitrateControl, lambda_of_quality, rhythm_factor, shortage_factor

FPS = 30.0
RATES_KBPS = [30.0, 60.0, 150.0, 500.0, 2000.0]


def test_lambda_falls_with_quality() -> None:
    keys = [lambda_of_quality(q).key for q in range(0, 101, 10)]
    assert keys == sorted(keys, reverse=True)
    assert lambda_of_quality(61.5).key == pytest.approx(lambda_of_quality(50).key / 2)
    assert lambda_of_quality(100).key == pytest.approx(lambda_of_quality(90).key / 4)


def test_rhythm_is_for_calm_scenes_and_gains_one_frame_in_four() -> None:
    assert {rhythm_factor(i, calm=False) for i in range(20)} == {1.0}
    factors = [rhythm_factor(i, calm=True) for i in range(16)]
    assert [i for i, factor in enumerate(factors) if factor < 1] == [0, 4, 8, 12]


def test_short_time_raises_lambda_within_bounds_and_enough_time_lets_it_fall_to_where_it_was() -> None:
    factors = [1.0]
    for _ in range(12):
        factors.append(shortage_factor(factors[-1], 0.5))
    assert all(after > before for before, after in pairwise(factors[:5]))
    assert max(factors) == factors[-1] <= 4
    for _ in range(60):
        factors.append(shortage_factor(factors[-1], 0.02))
    assert all(after < before for before, after in pairwise(factors[13:35]))
    assert factors[-1] == 1.0


@dataclass
class Source:
    """A coder whose bits double every so many points, and that stops at the bits it may take, give or take a little."""

    kbps: float
    bits_at_50: float  # of a P-frame
    points_a_doubling: float = 14.0
    noise: float = 0.2
    fps: float = FPS
    times_s: list[float] = field(default_factory=list)
    sent_bits: list[float] = field(default_factory=list)
    qualities: list[float] = field(default_factory=list)
    held: list[bool] = field(default_factory=list)
    skipped: int = 0

    def __post_init__(self) -> None:
        """Send the first key frame."""
        self.control = BitrateControl(self.kbps, self.fps, 640, 360)
        self.rng = np.random.default_rng(1)
        self.pictures = 0
        bits = min(0.9 * self.control.allowance_bits(0.0), 60_000)
        self._note(0.0, self.control.push_key(0.0, self.control.key_quality(0.0), [int(bits / 8)]).bits)

    def run(self, seconds: float, difficulty: float = 1.0) -> None:
        """Code pictures for a while."""
        for _ in range(round(seconds * self.fps)):
            self.pictures += 1
            time_s = self.pictures / self.fps
            control = self.control
            if not control.admits(time_s):
                self.skipped += 1
                self._note(time_s, control.flush(time_s).bits)
                continue
            wanted = self.bits_at_50 * difficulty * 2.0 ** ((control.quality - 50) / self.points_a_doubling)
            wanted *= self.rng.uniform(1 - self.noise, 1 + self.noise)
            allowed = control.command_bits(time_s)
            bits = 45 + min(wanted, allowed) * self.rng.uniform(0.9, 1.0)
            sent = control.push_p(time_s, [max(10, int(bits / 8))], wanted / allowed)
            self.held.append(sent.held)
            self._note(time_s, sent.bits)

    def _note(self, time_s: float, bits: float) -> None:
        self.times_s.append(time_s)
        self.sent_bits.append(bits)
        self.qualities.append(self.control.quality)

    def worst_two_seconds(self) -> float:
        """Return the most that two seconds after the first took, as a share of the target."""
        times, bits = np.array(self.times_s), np.array(self.sent_bits)
        late = [i for i, time_s in enumerate(self.times_s) if time_s >= 1]
        sums = [bits[(times >= times[i]) & (times <= times[i] + 2)].sum() for i in late]
        return float(max(sums)) / (2000 * self.kbps)

    def fullest(self) -> float:
        """Return how full the bucket ever was, counted anew."""
        bucket, most = RateBucket(1000 * self.kbps), 0.0
        for time_s, bits in zip(self.times_s, self.sent_bits, strict=True):
            bucket.push(time_s, bits)
            most = max(most, bucket.level_bits(time_s) / bucket.capacity_bits)
        return most

    def mean_kbps(self, since_s: float) -> float:
        """Return the mean rate from a time on."""
        pairs = zip(self.times_s, self.sent_bits, strict=True)
        bits = sum(bits for time_s, bits in pairs if time_s >= since_s)
        return bits / (self.times_s[-1] - since_s) / 1000


@pytest.mark.parametrize("kbps", RATES_KBPS)
@pytest.mark.parametrize("bits_at_50", [300.0, 2000.0, 12000.0])
def test_never_above_the_rate_and_below_it_only_at_the_best_quality(kbps: float, bits_at_50: float) -> None:
    source = Source(kbps, bits_at_50)
    source.run(12)
    assert source.worst_two_seconds() <= 1.1
    assert source.fullest() <= 1.0
    if source.control.quality < 89:
        assert source.mean_kbps(6.0) == pytest.approx(kbps, rel=0.08)


@pytest.mark.parametrize("kbps", RATES_KBPS)
def test_a_burst_of_motion_stays_within_the_rate(kbps: float) -> None:
    source = Source(kbps, 1000)
    for difficulty in (1.0, 12.0, 1.0, 40.0, 0.3):
        source.run(3, difficulty)
    assert source.worst_two_seconds() <= 1.1
    assert source.fullest() <= 1.0
    assert source.control.quality <= 90


@pytest.mark.parametrize("kbps", [60.0, 150.0, 500.0])
def test_on_a_calm_scene_the_quality_rises_and_then_holds(kbps: float) -> None:
    source = Source(kbps, 1500, noise=0.1)
    source.run(15)
    qualities = source.qualities
    assert qualities[-1] >= qualities[30]
    late = np.array(qualities[8 * 30 :])
    windows = np.lib.stride_tricks.sliding_window_view(late, 16)
    assert np.ptp(windows, axis=1).max() < 3.0  # 11.5 points are about 1.3 dB


def test_frames_share_datagrams_where_headers_would_take_much() -> None:
    bundles = {kbps: BitrateControl(kbps, FPS, 640, 360).frames_a_packet for kbps in RATES_KBPS}
    assert bundles == {30.0: 3, 60.0: 2, 150.0: 1, 500.0: 1, 2000.0: 1}
    source = Source(30.0, 400)
    source.run(4)
    assert max(len(run) for run in "".join("h" if held else " " for held in source.held).split()) == 2
    source = Source(150.0, 400)
    source.run(4)
    assert not any(source.held)


def test_poor_quality_slows_the_frames_and_good_quality_brings_them_back() -> None:
    source = Source(30.0, 20_000)
    source.run(5)
    slow_s = source.control.period_s
    assert slow_s > 0.06
    source.run(20, difficulty=0.01)
    assert source.control.period_s == pytest.approx(1 / FPS)


def test_a_frame_without_room_is_not_sent_and_counts_nothing() -> None:
    control = BitrateControl(60.0, FPS, 640, 360)
    control.push_key(0.0, 40.0, [400])
    before = control.bucket.level_bits(0.1)
    sent = control.push_p(0.1, [4000], 1.0)
    assert not sent.fits
    assert sent.bits == 0
    assert control.bucket.level_bits(0.1) == before


def test_key_frames_that_turn_out_large_are_planned_smaller() -> None:
    control = BitrateControl(500.0, FPS, 640, 360)
    planned = control.key_quality(0.0)
    control.push_key(0.0, planned, [30_000])
    assert control.key_quality(20.0) < planned


@pytest.mark.parametrize("kbps", RATES_KBPS)
def test_growth_leaves_room_for_motion(kbps: float) -> None:
    control = BitrateControl(kbps, FPS, 640, 360)
    control.push_key(0.0, 20.0, [1100])
    for picture in range(1, 30):
        time_s = picture / FPS
        growth = control.growth_bits(time_s, 150.0)
        assert 0 <= growth <= max(0.0, control.allowance_bits(time_s) - control.FRAME_BITS)
        if control.admits(time_s):
            control.push_p(time_s, [int((growth + 300) / 8)], 0.5)
