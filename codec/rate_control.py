"""Quality and bitrate to lambda: the squared error (0..255 scale) that one bit must save."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, exp, log, log2

from codec.rate_bucket import DATAGRAM_BYTES, PACKET_HEADER_BYTES, RateBucket, sent_bits

__all__ = ["BitrateControl", "LambdaPair", "Sent", "lambda_of_quality", "rhythm_factor", "shortage_factor"]

_QUALITY_MID = 50.0
_LAMBDA_MID = 120.0  # key-frame lambda at quality 50
_QUALITY_PER_HALVING = 11.5
_QUALITY_TOP = 90.0  # above it a point counts for more, for pictures that must be near the source
_TOP_PER_HALVING = 5.0
_P_OVER_KEY = 2.5
_LOWEST_QUALITY, _HIGHEST_QUALITY = 0.0, 90.0

_RHYTHM_PERIOD = 4
_RHYTHM_GOOD, _RHYTHM_OTHER = 0.6, 1.5

_SHORT_SHARE = 0.1  # of the splats that a frame had no time to look at, from which on time is short
_SHORTAGE_UP, _SHORTAGE_DOWN, _MOST_SHORTAGE = 1.3, 1.05, 4.0

_HEADER_BITS = 8 * PACKET_HEADER_BYTES
_DATAGRAM_BITS = 8 * DATAGRAM_BYTES + _HEADER_BITS


@dataclass(frozen=True)
class LambdaPair:
    """Lambda of key frames and of P-frames."""

    key: float
    p: float


def lambda_of_quality(quality: float) -> LambdaPair:
    """Return the lambdas of a quality 0..100; each 11.5 points halve them, above 90 each 5."""
    below, above = min(quality, _QUALITY_TOP), max(quality - _QUALITY_TOP, 0.0)
    key = _LAMBDA_MID * 2.0 ** ((_QUALITY_MID - below) / _QUALITY_PER_HALVING - above / _TOP_PER_HALVING)
    return LambdaPair(key, _P_OVER_KEY * key)


def rhythm_factor(frames_since_key: int, calm: bool) -> float:
    """Return the factor on a P-frame's lambda: on a calm scene every 4th frame is coded better, the others cheaper.

    State persists, so what a good frame buys lasts until it is worn out.
    """
    if not calm:
        return 1.0
    return _RHYTHM_GOOD if frames_since_key % _RHYTHM_PERIOD == 0 else _RHYTHM_OTHER


def shortage_factor(before: float, unvisited_share: float) -> float:
    """Return the factor on a P-frame's lambda after a frame that had this factor and left out so many of its splats.

    Where there is no time to follow all that moves, bits that mend the rest finely are worn out by the next frame.
    """
    if unvisited_share > _SHORT_SHARE:
        return min(before * _SHORTAGE_UP, _MOST_SHORTAGE)
    return max(before / _SHORTAGE_DOWN, 1.0)


@dataclass(frozen=True)
class Sent:
    """What became of a frame at a bitrate."""

    fits: bool  # False: there was no room, it must not be sent
    held: bool = False  # it leaves in one datagram with the next frame
    bits: int = 0  # that left with it, those of frames held before included, with headers


class BitrateControl:
    """Follows a bitrate: says which pictures are coded, at which quality, within how many bits, and how many a packet.

    Pure: times in seconds and sizes in, plans out. A bucket and a window (`RateBucket`) bound every frame; within them
    the quality moves slowly towards the one at which frames would take just their share, upwards slower than down.
    Where headers alone would take much of the bitrate, two or three frames share a datagram: calm frames are cheap, so
    this shows more than fewer frames do, and it delays by a frame or two.
    """

    UP, FAST_UP = 6.0, 45.0  # quality points a second at most, from where it is as it should be to FAR below
    DOWN = 30.0  # points a second at most ...
    HARD_DOWN = 5.0  # ... and a frame, where one met its allowance or the picture still grows
    FAR = 11.5
    FOLLOW_S = 0.28  # time constant of the way to the quality aimed at
    LEARN_S = 0.4  # time constant of what is known of the scene
    AIM_LEVEL = 0.5  # share of the bucket that is to be filled
    LEVEL_GAIN = 1.5  # how far its level moves the share of a frame
    HEADER_SHARE = 0.22  # of the bitrate that headers may take: above, frames share datagrams
    MOST_HELD = 2  # frames that wait for another
    LEAST_SHARE = 0.5  # of a frame's share that the bucket must have room for
    POOR, GOOD = 6.0, 35.0  # quality below and above which frames come less and more often
    POOR_S, GOOD_S = 1.0, 4.0  # for so long
    SLOWEST_S = 0.21  # between two frames
    FRAME_BITS = 60.0  # of a P-frame beside its commands: header, empty flags, end of the stream; hash now and then
    COUNT_ERROR = 1.08  # by which its size may exceed the engine's count
    KEY_SHARE = 0.85  # of its allowance that a key frame is planned to take: the model errs by so much
    GROWTH_SHARE = 0.9  # of a frame that new splats are planned to fill: what they take is not known exactly
    MOVING_SHARE = 0.4  # of a frame that everything else may take while a picture grows
    BEST_GROWN = 70.0  # quality of such a picture at most: what moves is not known yet
    GROWN_S = 1.2  # of the bitrate that a whole picture may take, where it grows over some frames
    CAPPED = 0.85  # share of the bits from which a frame counts as one that wanted more
    _KEY_BITS, _KEY_BITS_POWER = 2.85, 0.81  # of a key frame at quality 50: by this power of its pixels ...
    _KEY_BITS_EXPONENT = 0.025  # ... and its growth with quality, natural log per point

    def __init__(self, bitrate_kbps: float, fps: float, width_px: int, height_px: int) -> None:
        """Start with an empty bucket and the quality whose key frame should fit into it."""
        self.bucket = RateBucket(1000 * bitrate_kbps)
        self._picture_s = 1 / fps
        self._pixels = width_px * height_px
        self._key_factor = 1.0  # of this clip's key frames on the model's
        self._pictures = 1  # from one coded picture to the next
        self._judged_s: float | None = None  # when their number was last in question
        self._last_s: float | None = None  # of the last coded picture
        self._held: list[int] = []  # bytes of the records that wait for the next frame
        self._held_frames = 0
        self._complexity: float | None = None  # bits of a P-frame at quality 0, log2
        self.quality = self.key_quality(0.0)

    @property
    def period_s(self) -> float:
        """Return the time from one coded picture to the next."""
        return self._pictures * self._picture_s

    @property
    def frames_a_packet(self) -> int:
        """Return how many frames share a datagram."""
        packet_s = _HEADER_BITS / (self.HEADER_SHARE * self.bucket.bitrate_bps)
        return min(1 + self.MOST_HELD, max(1, ceil(packet_s / self.period_s - 0.1)))

    def admits(self, time_s: float) -> bool:
        """Tell whether a picture is to be coded: it is due, and the bucket has room for most of a frame's share."""
        if self._last_s is None:
            return True
        due = time_s >= self._last_s + self.period_s - 0.3 * self._picture_s
        return due and self.allowance_bits(time_s) >= self.LEAST_SHARE * self._share_bits(self.period_s)

    def allowance_bits(self, time_s: float) -> float:
        """Return how many bits a frame may have at a time, headers of its packets left out."""
        room = self.bucket.room_bits(time_s) - 8 * sum(self._held)
        packets = max(1.0, -(-room // _DATAGRAM_BITS))
        return max(0.0, room - packets * _HEADER_BITS)

    def command_bits(self, time_s: float) -> float:
        """Return what the commands of a P-frame may take by the engine's count, at least 1."""
        return max(1.0, (self.allowance_bits(time_s) - self.FRAME_BITS) / self.COUNT_ERROR)

    def growth_bits(self, time_s: float, other_bits: float) -> float:
        """Return what new splats may take of a frame while a picture grows after a small key frame.

        other_bits: what the last such frame took beside them.
        """
        allowance = self.allowance_bits(time_s) - self.FRAME_BITS
        share = self._share_bits(self.period_s)
        bits = min(allowance, share + self.AIM_LEVEL * max(0.0, allowance - share))
        return self.GROWTH_SHARE * max(0.2 * bits, bits - 1.2 * other_bits, 0.0)

    def growing_quality(self, time_s: float) -> float:
        """Return the quality of a picture that grows from a small key frame over the frames that follow it."""
        seconds_bits = self.bucket.bitrate_bps - _HEADER_BITS / (self.period_s * self.frames_a_packet)
        quality = self._quality_of(max(self.allowance_bits(time_s), self.GROWN_S * seconds_bits))
        return min(quality, self.BEST_GROWN)

    def key_quality(self, time_s: float) -> float:
        """Return the quality at which a key frame should fit."""
        return self._quality_of(self.KEY_SHARE * self.allowance_bits(time_s))

    def filled(self, time_s: float) -> float:
        """Return the share of the bucket that is filled, with what waits to be sent."""
        return (self.bucket.level_bits(time_s) + 8 * sum(self._held)) / self.bucket.capacity_bits

    def flush(self, time_s: float) -> Sent:
        """Send what is held, as when the next picture is left out."""
        return self._send(time_s, [])

    def push_key(self, time_s: float, quality: float, sizes_bytes: Sequence[int], *, whole: bool = True) -> Sent:
        """Take a key frame of this quality, as its record and parts were sent; P-frames go on from its quality.

        whole: it does not wait for more splats.
        """
        if whole:
            self._key_factor *= min(max(8 * sum(sizes_bytes) / self._key_bits(quality), 0.25), 4.0)
        self.quality = quality
        self._complexity = None
        self._last_s = time_s
        return self._send(time_s, sizes_bytes)

    def push_p(
        self, time_s: float, sizes_bytes: Sequence[int], spent: float, *, growth_bits: float | None = None
    ) -> Sent:
        """Take a P-frame of the present quality, of parts of these sizes, and of a share `spent` of its bits.

        growth_bits: of its new splats, while the picture is still growing; then its quality does not rise.
        """
        passed_s = self.period_s if self._last_s is None else min(time_s - self._last_s, 2 * self.period_s)
        passed_s = max(passed_s, 0.001)
        fits = self.fits(time_s, sizes_bytes)
        capped, before = spent >= self.CAPPED or not fits, self.quality
        self._learn(8 * sum(sizes_bytes) - (growth_bits or 0.0), passed_s, capped)
        if growth_bits is None:
            self._steer(time_s, passed_s, self.HARD_DOWN if capped else self.DOWN * passed_s)
        else:
            self._steer(time_s, passed_s, self.HARD_DOWN, self.MOVING_SHARE)
            self.quality = min(self.quality, before)
        self._pace(time_s)
        self._last_s = time_s
        if not fits:
            return replace(self.flush(time_s), fits=False)
        self._held_frames += 1
        waits = self._held_frames < self.frames_a_packet
        if waits and sum(self._held) + 2 * sum(sizes_bytes) <= DATAGRAM_BYTES:  # and likely one more as large
            self._held += sizes_bytes
            return Sent(True, held=True)
        return self._send(time_s, sizes_bytes)

    def fits(self, time_s: float, sizes_bytes: Sequence[int]) -> bool:
        """Tell whether the bucket has room for parts of these sizes beside what is held."""
        return sent_bits([*self._held, *sizes_bytes]) <= self.bucket.room_bits(time_s)

    # -- parts of the control

    def _quality_of(self, key_bits: float) -> float:
        """Return the quality whose whole key frame takes about so many bits."""
        points = log(max(key_bits, 64.0) / self._key_bits(_QUALITY_MID)) / self._KEY_BITS_EXPONENT
        return min(max(_QUALITY_MID + points, _LOWEST_QUALITY), _HIGHEST_QUALITY)

    def _send(self, time_s: float, sizes_bytes: Sequence[int]) -> Sent:
        """Send what is held, and parts of these sizes."""
        bits = sent_bits([*self._held, *sizes_bytes])
        self.bucket.push(time_s, bits)
        self._held, self._held_frames = [], 0
        return Sent(True, bits=bits)

    def _learn(self, bits: float, passed_s: float, capped: bool) -> None:
        """Follow what the scene takes: bits at quality 0, were each halving of lambda a doubling of bits."""
        seen = log2(max(bits, 16.0)) - self.quality / _QUALITY_PER_HALVING
        if self._complexity is None:
            self._complexity = seen
        elif capped:
            self._complexity = max(self._complexity, seen + 0.3)
        else:
            # the mean of bits, not of their logarithms, is what must meet the bitrate
            kept = exp(-passed_s / self.LEARN_S)
            self._complexity = log2(kept * 2.0**self._complexity + (1 - kept) * 2.0**seen)

    def _steer(self, time_s: float, passed_s: float, most_down: float, moving_share: float = 1.0) -> None:
        """Move the quality towards the one at which frames, their new splats left out, would take such a share."""
        assert self._complexity is not None
        level = 1 + self.LEVEL_GAIN * (self.AIM_LEVEL - self.filled(time_s))
        share = moving_share * level * self._share_bits(passed_s)
        aim = _QUALITY_PER_HALVING * (log2(max(share, 16.0)) - self._complexity)
        change = (1 - exp(-passed_s / (moving_share * self.FOLLOW_S))) * (aim - self.quality)
        haste = min(max((aim - self.quality) / self.FAR, 0.0), 1.0)
        up = (self.UP + (self.FAST_UP - self.UP) * haste) * passed_s
        self.quality += min(max(change, -most_down), up)
        self.quality = min(max(self.quality, _LOWEST_QUALITY), _HIGHEST_QUALITY)

    def _pace(self, time_s: float) -> None:
        """Send fewer frames where the quality stays poor, more again where it is good."""
        if self._judged_s is None or self.POOR < self.quality < self.GOOD:
            self._judged_s = time_s
        elif self.quality <= self.POOR and time_s - self._judged_s >= self.POOR_S:
            if (self._pictures + 1) * self._picture_s <= self.SLOWEST_S:
                self._pictures += 1
            self._judged_s = time_s
        elif self.quality >= self.GOOD and time_s - self._judged_s >= self.GOOD_S:
            self._pictures = max(1, self._pictures - 1)
            self._judged_s = time_s

    def _share_bits(self, passed_s: float) -> float:
        """Return what a frame may take on the average, headers left out, when the last was sent so long ago."""
        bits = self.bucket.bitrate_bps * passed_s
        return max(bits - _HEADER_BITS / self.frames_a_packet, 0.2 * bits)

    def _key_bits(self, quality: float) -> float:
        """Return what the model says of a key frame's bits."""
        growth = exp(self._KEY_BITS_EXPONENT * (quality - _QUALITY_MID))
        at_mid = self._KEY_BITS * exp(self._KEY_BITS_POWER * log(self._pixels)) * self._key_factor
        return at_mid * growth
