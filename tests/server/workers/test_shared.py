"""Shared memory: double buffering and torn reads."""

import threading

import numpy as np

from codec.bitstream.epoch import pack_epoch
from codec.types import EpochRecord, SplatState
from server.workers.shared import PictureBuffer, StateBuffer

EPOCH = EpochRecord(3, 64, 48, (30, 1), (4,))


def make_state(number: int) -> SplatState:
    state = SplatState.empty(EPOCH)
    state.splats[:], state.base[:], state.vectors[:] = number, number, number
    state.frame_number = number
    return state


def test_state_travels_whole() -> None:
    ours = StateBuffer.create(64)
    theirs = StateBuffer.attach(ours.name, 64)
    assert ours.read() is None
    state = make_state(7)
    theirs.write(state, np.full(EPOCH.slots, 7, np.int64), pack_epoch(EPOCH))
    snapshot = ours.read()
    assert snapshot is not None
    assert snapshot.state.epoch == EPOCH
    assert snapshot.state.frame_number == 7
    for name in ("splats", "base", "vectors"):
        np.testing.assert_array_equal(getattr(snapshot.state, name), getattr(state, name))
    theirs.close()
    ours.close()


def test_readers_never_see_two_states_mixed() -> None:
    buffer = StateBuffer.create(64)
    record = pack_epoch(EPOCH)
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.wait(0.0005):
            number += 1
            buffer.write(make_state(number), np.full(EPOCH.slots, number, np.int64), record)

    writer = threading.Thread(target=write)
    writer.start()
    seen: set[int] = set()
    while len(seen) < 50:
        snapshot = buffer.read()
        if snapshot is not None:
            number = snapshot.state.frame_number
            seen.add(number)
            assert np.all(snapshot.state.splats == number)
            assert np.all(snapshot.last_changed == number)
    stop.set()
    writer.join()
    buffer.close()


def test_pictures_travel_whole() -> None:
    ours = PictureBuffer.create(64)
    theirs = PictureBuffer.attach(ours.name)
    picture = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    ours.view(64, 48)[:] = picture
    np.testing.assert_array_equal(theirs.view(64, 48), picture)
    theirs.close()
    ours.close()
