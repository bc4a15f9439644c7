"""Midpoints: when they are tried, what they save and lose, and that every picture is shown once and in order."""

from collections.abc import Sequence
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from codec.bench.splat_peer import decode_frames
from codec.config import EncoderConfig
from codec.encoder import Encoder
from codec.errors import ConfigError, StreamStateError
from codec.media import open_clip, open_writer
from codec.midpoint import MidpointRule, encode_pictures
from codec.stream_info import describe_stream
from codec.transcode import EncodeOptions, decode_clip, encode_clip
from codec.types import EncodedFrame

Rgb = npt.NDArray[np.uint8]
HEIGHT, WIDTH = 96, 128


def scene(shift_px: float, seed: int = 1) -> Rgb:
    """Return a smooth picture whose content stands further right by a shift."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    picture = np.full((HEIGHT, WIDTH, 3), 90.0)
    for _ in range(12):
        cx, cy, radius = rng.uniform(10, WIDTH - 10), rng.uniform(10, HEIGHT - 10), rng.uniform(5, 16)
        spot = np.exp(-((x - cx - shift_px) ** 2 + (y - cy) ** 2) / (2 * radius**2))
        picture += spot[..., None] * rng.uniform(-70, 90, 3)
    made: Rgb = np.clip(picture, 0, 255).astype(np.uint8)
    return made


def config(delay_frames: int, **options: object) -> EncoderConfig:
    """Return a configuration for the scene."""
    return EncoderConfig(
        WIDTH,
        HEIGHT,
        importance=False,
        threads=1,
        delay_frames=delay_frames,
        **options,  # type: ignore[arg-type]
    )


def shown_db(frames: Sequence[EncodedFrame], pictures: Sequence[Rgb]) -> list[float]:
    """Decode frames and return the PSNR of each picture that they show, in dB."""
    assert sum(frame.pictures for frame in frames) == len(pictures)
    shown = decode_frames(frames)
    errors = [np.mean((a.astype(float) - b) ** 2) for a, b in zip(shown, pictures, strict=True)]
    return [float(10 * np.log10(255**2 / error)) for error in errors]


def encode(pictures: Sequence[Rgb], delay_frames: int, **options: object) -> list[EncodedFrame]:
    """Encode pictures."""
    with closing(Encoder(config(delay_frames, **options))) as encoder:
        return list(encode_pictures(encoder, pictures))


def test_a_steady_motion_is_shown_with_half_the_frames_at_no_loss() -> None:
    pictures = [scene(1.5 * index) for index in range(14)]
    apart, paired = encode(pictures, 0), encode(pictures, 1)
    assert [frame.pictures for frame in apart] == [1] * 14
    assert [frame.kind for frame in paired] == ["key", *["p"] * (len(paired) - 1)]
    assert len(paired) <= 9
    assert [frame.number for frame in paired] == list(range(len(paired)))
    assert [frame.stats.index for frame in paired] == (np.cumsum([f.pictures for f in paired]) - 1).tolist()
    bits = [sum(frame.stats.bytes for frame in frames[1:]) for frames in (apart, paired)]
    assert bits[1] < 0.85 * bits[0]
    assert np.mean(shown_db(paired, pictures)) > np.mean(shown_db(apart, pictures)) - 0.2


@pytest.mark.parametrize("options", [{}, {"bitrate_kbps": 150.0}])
def test_what_jerks_is_coded_as_if_no_midpoint_had_been_tried(
    options: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forwards and backwards: no midpoint of two pictures shows the one between them, and a try leaves no trace."""
    monkeypatch.setattr(MidpointRule, "tries", lambda rule, motion: True)
    pictures = [scene(9.0 * (index % 2)) for index in range(12)]
    delayed = encode(pictures, 1, fps=(5, 1), **options)
    assert [frame.pictures for frame in delayed] == [1] * 12
    with closing(Encoder(config(0, fps=(5, 1), **options))) as encoder:
        for index, (picture, frame) in enumerate(zip(pictures, delayed, strict=True)):
            if index < len(pictures) - 1:  # the last one has no other to be tried with
                encoder.go_back(encoder.remember())  # draws the splats anew, as after a try, and nothing else
            assert encoder.encode(picture).parts == frame.parts


def test_another_scene_has_no_midpoint_before_it() -> None:
    pictures = [scene(index) for index in range(5)] + [255 - scene(index, seed=7)[::-1] for index in range(4)]
    frames = encode([np.ascontiguousarray(picture) for picture in pictures], 1)
    kinds = [frame.kind for frame in frames]
    assert kinds.count("key") == 2
    key = kinds.index("key", 1)
    assert sum(frame.pictures for frame in frames[:key]) == 5
    shown_db(frames, pictures)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_short_clips_end_with_their_last_picture(count: int) -> None:
    pictures = [scene(index) for index in range(count)]
    assert min(shown_db(encode(pictures, 1), pictures)) > 25


def test_live_takes_what_earlier_midpoints_lost_for_a_sign() -> None:
    calm = [scene(0.8 * index) for index in range(9)]
    wild = [scene(7.2 + 8.0 * (index % 3)) for index in range(9)]
    frames = encode([*calm, *wild], 1, effort="live", latency_ms=500.0)
    pictures = np.cumsum([frame.pictures for frame in frames])
    pairs = [frame.pictures == 2 for frame in frames]
    assert sum(pair for pair, end in zip(pairs, pictures, strict=True) if end <= 9) >= 3
    assert sum(pair for pair, end in zip(pairs, pictures, strict=True) if end > 10) <= 1
    shown_db(frames, [*calm, *wild])


def test_an_encoder_that_went_back_goes_on_as_if_nothing_had_been() -> None:
    pictures = [scene(2.0 * index) for index in range(6)]
    with closing(Encoder(config(0, bitrate_kbps=200.0))) as encoder:
        for picture in pictures[:3]:
            encoder.encode(picture)
        memory = encoder.remember()
        assert encoder.state is not None
        before = encoder.state.copy()
        other = encoder.encode(scene(40.0, seed=3), midpoint=True)
        assert other.number == 3
        encoder.go_back(memory)
        assert encoder.state is not None
        assert np.array_equal(encoder.state.splats, before.splats)
        frame = encoder.encode(pictures[3])
        assert (frame.number, frame.stats.index, frame.midpoint) == (3, 3, False)
        assert (encoder.last_changed <= 3).all()


def test_a_file_holds_as_many_pictures_as_the_clip(tmp_path: Path) -> None:
    with closing(open_writer(tmp_path / "clip.y4m", Fraction(30))) as writer:
        for index in range(11):
            writer.write(scene(1.5 * index))
    options = EncodeOptions(importance=False, delay_frames=1, patch_every_s=0.1, threads=1)
    report = encode_clip(tmp_path / "clip.y4m", tmp_path / "a.splatv", options, lambda done, expected: None)
    assert len(report.frames) < 11, "some are shown by midpoints"
    assert "11 pictures in" in report.summary()
    coded = len(report.frames)
    shown = describe_stream(tmp_path / "a.splatv")
    assert f"{coded} frames and {11 - coded} midpoints" in shown
    assert f"{report.total_bytes * 8 * 30 / 11 / 1000:.1f} kbit/s" in shown
    sizes = []
    for name, frames in (("all.y4m", slice(None)), ("some.y4m", slice(3, 8)), ("last.png", slice(10, 11))):
        sizes.append(
            decode_clip(tmp_path / "a.splatv", tmp_path / name, 1.0, None, frames, lambda done, expected: None)
        )
    assert sizes == [11, 5, 1]
    with open_clip(tmp_path / "all.y4m") as whole, open_clip(tmp_path / "some.y4m") as part:
        pictures = list(whole)
        assert all(np.array_equal(a, b) for a, b in zip(pictures[3:8], part, strict=True)), "seeking finds the same"
        assert whole.fps == part.fps


def test_the_rule_waits_longer_after_each_loss() -> None:
    rule, tried = MidpointRule(), []
    for picture in range(60):
        if rule.tries(1.0):
            tried.append(picture)
            assert not rule.note(2.0, 1.0)
    assert np.diff(tried).tolist() == [2, 3, 5, 9, 17, 17]
    assert rule.note(0.1, 1.0)
    rule = MidpointRule()
    assert rule.tries(50.0)
    assert rule.note(0.0, 1.0)
    assert rule.tries(2.0)
    assert not rule.tries(6.0), "motion well above that of good midpoints"


def test_bad_use_is_named() -> None:
    with pytest.raises(ConfigError, match=r"delay_frames must be 0\.\.1, got 2"):
        config(2)
    with closing(Encoder(config(1))) as encoder, pytest.raises(StreamStateError, match="no picture"):
        _ = encoder.weights
