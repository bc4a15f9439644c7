"""The gsvc encoder and decoder together."""

from dataclasses import replace

import numpy as np
import pytest

from codec.errors import BitstreamError, ConfigError, StreamStateError
from codec.gsvc import GsvcConfig, GsvcDecoder, GsvcEncoder, fit_still
from codec.gsvc.config import splats_for
from codec.gsvc.population import contributions, least_contributing, random_splats
from tests.codec.gsvc.pictures import HEIGHT, WIDTH, mean_square, moving_picture

CONFIG = GsvcConfig(WIDTH, HEIGHT, splats=70, effort="fast", threads=1)


def encode(config: GsvcConfig, scenes: list[int]) -> tuple[list[bytes], list[str], list[int]]:
    encoder = GsvcEncoder(config)
    packets, kinds, splats = [], [], []
    for index, scene in enumerate(scenes):
        packets.append(encoder.encode(moving_picture(index, scene)))
        assert encoder.figures is not None
        kinds.append(encoder.figures.kind)
        splats.append(encoder.figures.splats)
    return packets, kinds, splats


def test_decoder_shows_what_the_encoder_says() -> None:
    encoder, decoder = GsvcEncoder(CONFIG), GsvcDecoder(1)
    for index in range(4):
        packet = encoder.encode(moving_picture(index))
        np.testing.assert_array_equal(decoder.decode(packet), encoder.reconstruction())
        assert mean_square(decoder.picture(), moving_picture(index)) < 60


def test_p_frames_are_better_than_a_copy_and_smaller_than_a_key_frame() -> None:
    encoder = GsvcEncoder(CONFIG)
    key = encoder.encode(moving_picture(0))
    copy = encoder.reconstruction()
    change = encoder.encode(moving_picture(2))
    assert encoder.figures is not None
    assert encoder.figures.kind == "p"
    assert mean_square(encoder.reconstruction(), moving_picture(2)) < 0.6 * mean_square(copy, moving_picture(2))
    assert len(change) < 0.8 * len(key)


def test_a_cut_makes_a_key_frame() -> None:
    packets, kinds, _ = encode(CONFIG, [0, 0, 0, 5, 5])
    assert kinds == ["key", "p", "p", "key", "p"]
    decoder = GsvcDecoder(1)
    assert mean_square(decoder.decode(packets[3]), moving_picture(3, 5)) < 60


def test_pruning_keeps_the_count_while_random_splats_come() -> None:
    encoder = GsvcEncoder(replace(CONFIG, splats=200))
    came = 0
    for index in range(5):
        encoder.encode(moving_picture(2 * index))
        assert encoder.figures is not None
        assert encoder.figures.splats == 200
        came += encoder.figures.kind == "p" and encoder.figures.changed > 0
    assert came == 4


def test_splats_that_contribute_least_go() -> None:
    rows = random_splats(np.full((3, HEIGHT, WIDTH), 100, np.float32), 20, 5.0, np.random.default_rng(1))
    rows[3, 5:] = 1
    rows[8, 0] = WIDTH + 500
    assert contributions(rows, WIDTH, HEIGHT)[8] == 0
    assert least_contributing(rows, 2, WIDTH, HEIGHT).tolist() == [3, 8]
    assert len(least_contributing(rows, -1, WIDTH, HEIGHT)) == 0


def test_same_bytes_for_any_threads_and_others_for_another_seed() -> None:
    first = encode(CONFIG, [0, 0])[0]
    assert encode(replace(CONFIG, threads=3), [0, 0])[0] == first
    assert encode(replace(CONFIG, seed=1), [0, 0])[0] != first


def test_rate_awareness_saves_bits() -> None:
    plain, aware = (encode(replace(CONFIG, rate_aware=aware), [0, 0, 0])[0] for aware in (False, True))
    assert aware[0] == plain[0]
    assert sum(map(len, aware[1:])) < 0.7 * sum(map(len, plain[1:]))


def test_still_decodes_to_its_picture() -> None:
    data, picture = fit_still(moving_picture(0), 100, "fast", threads=1)
    np.testing.assert_array_equal(GsvcDecoder(1).decode(data), picture)
    assert mean_square(picture, moving_picture(0)) < 40
    # 100 splats of about 48 bits, and the head with its tables
    assert 400 < len(data) < 720


def test_views() -> None:
    decoder = GsvcDecoder(1)
    with pytest.raises(StreamStateError):
        decoder.picture()
    decoder.push(fit_still(moving_picture(0), 80, "fast", threads=1)[0])
    whole = decoder.picture()
    part = decoder.picture(region=(8, 4, 40, 30))
    # one is drawn from other numbers than the other: rounding may show
    assert np.abs(part.astype(int) - whole[4:34, 8:48]).max() <= 1
    large = decoder.picture(scale=2.0)
    assert large.shape == (2 * HEIGHT, 2 * WIDTH, 3)
    halved = large.reshape(HEIGHT, 2, WIDTH, 2, 3).mean((1, 3))
    assert np.abs(halved - whole).mean() < 2


def test_p_frame_needs_a_key_frame() -> None:
    packets = encode(CONFIG, [0, 0])[0]
    with pytest.raises(BitstreamError, match="key frame first"):
        GsvcDecoder().push(packets[1])


def test_quality_is_a_number_of_splats() -> None:
    counts = [splats_for(quality, 352, 288) for quality in range(0, 101, 10)]
    assert counts == sorted(set(counts))
    assert (counts[0], counts[-1]) == (338, 8448)
    assert splats_for(0, 1, 1) == 1


@pytest.mark.parametrize("name", ["width_px", "height_px", "quality", "splats", "threads"])
@pytest.mark.parametrize("value", [-1, 70000])
def test_values_out_of_range(name: str, value: int) -> None:
    with pytest.raises(ConfigError, match=name):
        replace(CONFIG, **{name: value})  # type: ignore[arg-type]


def test_pictures_of_another_size() -> None:
    with pytest.raises(ConfigError, match="expected a picture"):
        GsvcEncoder(CONFIG).encode(np.zeros((HEIGHT, WIDTH + 1, 3), np.uint8))


@pytest.mark.parametrize("size", [(1, 1), (17, 5), (2, 64)])
def test_odd_sizes(size: tuple[int, int]) -> None:
    width, height = size
    encoder, decoder = GsvcEncoder(GsvcConfig(width, height, effort="fast", threads=1)), GsvcDecoder(1)
    for index in range(2):
        picture = moving_picture(index)[:1, :1] if size == (1, 1) else np.full((height, width, 3), 90 + index, np.uint8)
        assert decoder.decode(encoder.encode(picture)).shape == (height, width, 3)
