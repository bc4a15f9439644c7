"""The worker pool: encoding, death, failure, moving, and what is left behind."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from codec.bitstream.header import parse_header
from codec.config import EncoderConfig
from server.errors import ServerStateError, WorkerError
from server.workers.pool import Lease, WorkerPool
from server.workers.process import NICENESS
from tests.server.conftest import FAKE_ENCODER, own_segments, until
from tests.server.fake_encoder import BLACK_HANGS_PX

CONFIG = EncoderConfig(64, 48, effort="live", importance=False, threads=1)


@pytest.fixture
async def pool() -> AsyncIterator[WorkerPool]:
    """Two workers."""
    made = WorkerPool(2, CONFIG, FAKE_ENCODER)
    await made.start()
    yield made
    await made.close()
    assert own_segments() == set()


def fill(value: int) -> "Filler":
    return Filler(value)


class Filler:
    """Writes a plain picture."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __call__(self, target: npt.NDArray[np.uint8]) -> None:
        target[:] = self.value


async def numbers(lease: Lease, count: int, config: EncoderConfig = CONFIG) -> list[tuple[int, int, str]]:
    """Encode so many pictures."""
    frames = [await lease.encode(fill(100 + index), config, 20.0) for index in range(count)]
    return [(frame.epoch, frame.number, frame.kind) for frame in frames]


async def test_a_frame_asks_for_a_midpoint_when_told_to(pool: WorkerPool) -> None:
    lease = pool.open(CONFIG, 64)
    flags = []
    for index in range(4):
        frame = await lease.encode(fill(100 + index), CONFIG, 20.0, midpoint=index % 2 == 0)
        flags.append(parse_header(frame.parts[0]).midpoint)
    assert flags == [False, False, True, False], "a key frame never does"
    await lease.close()


async def test_frames_are_numbered_on_and_the_state_is_shared(pool: WorkerPool) -> None:
    lease = pool.open(CONFIG, 64)
    assert lease.state.read() is None
    assert await numbers(lease, 3) == [(0, 0, "key"), (0, 1, "p"), (0, 2, "p")]
    snapshot = lease.state.read()
    assert snapshot is not None
    assert snapshot.state.frame_number == 2
    assert set(np.unique(snapshot.last_changed)) == {0, 1, 2}
    assert lease.state.changed_since(0)[0] == 2
    assert lease.state.changed_since(-1)[0] == 40
    await lease.close()


async def test_a_killed_worker_is_replaced_and_goes_on(pool: WorkerPool) -> None:
    leases = [pool.open(CONFIG, 64) for _ in range(2)]
    for lease in leases:
        await numbers(lease, 3)
    pids = pool.pids
    for pid in pids:
        os.kill(pid, 9)
    await until(lambda: pool.replaced == 2)
    await until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
    for lease in leases:
        assert await numbers(lease, 2) == [(0, 3, "p"), (0, 4, "p")]
        snapshot = lease.state.read()
        assert snapshot is not None
        assert set(np.unique(snapshot.last_changed)) == {0, 1, 2, 3, 4}, "changes by the dead worker are remembered"
        await lease.close()


async def test_workers_leave_scarce_cores_to_the_server(pool: WorkerPool) -> None:
    lease = pool.open(CONFIG, 64)
    await numbers(lease, 1)
    await until(lambda: all(worker.ready for worker in pool._workers))
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert [os.getpriority(os.PRIO_PROCESS, pid) for pid in pool.pids] == [own + NICENESS] * 2
    await lease.close()


async def test_a_worker_that_hangs_is_replaced_and_one_that_starts_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool = WorkerPool(1, CONFIG, FAKE_ENCODER)
    await pool.start()
    try:
        lease = pool.open(CONFIG, 64)
        assert await numbers(lease, 1) == [(0, 0, "key")]
        monkeypatch.setattr("server.workers.pool.HUNG_S", 0.0)
        with pytest.raises(WorkerError, match="killed"):
            await lease.encode(fill(1), CONFIG, 20.0)
        await until(lambda: pool.replaced == 1)
        assert (await numbers(lease, 1))[0][2] == "p"  # of a process that takes far longer to start than to be asked
        await lease.close()
    finally:
        await pool.close()


async def test_death_in_the_middle_of_a_picture_loses_that_picture_only(pool: WorkerPool) -> None:
    config = EncoderConfig(64, BLACK_HANGS_PX, effort="live", importance=False, threads=1)
    lease = pool.open(config, 64)
    await numbers(lease, 2, config)
    with pytest.raises(WorkerError, match="died"):
        await lease.encode(fill(0), config, 20.0)
    assert await numbers(lease, 1, config) == [(0, 2, "p")]
    await lease.close()


async def test_a_failing_encoder_says_why_and_the_next_picture_works(pool: WorkerPool) -> None:
    lease = pool.open(CONFIG, 64)
    await numbers(lease, 2)
    with pytest.raises(WorkerError, match="too white"):
        await lease.encode(fill(255), CONFIG, 20.0)
    assert await numbers(lease, 1) == [(0, 2, "p")]
    await lease.close()


async def test_another_size_begins_the_next_epoch(pool: WorkerPool) -> None:
    lease = pool.open(CONFIG, 64)
    await numbers(lease, 2)
    other = EncoderConfig(48, 64, effort="live", importance=False, threads=1)
    assert await numbers(lease, 2, other) == [(1, 2, "key"), (1, 3, "p")]
    await lease.close()


async def test_one_picture_in_flight_at_most(pool: WorkerPool) -> None:
    lease = pool.open(CONFIG, 64)
    first = asyncio.create_task(lease.encode(fill(1), CONFIG, 20.0))
    await asyncio.sleep(0)
    with pytest.raises(ServerStateError):
        await lease.encode(fill(1), CONFIG, 20.0)
    await first
    await lease.close()


async def test_closing_in_the_middle_of_a_picture_is_clean(pool: WorkerPool) -> None:
    lease = pool.open(CONFIG, 64)
    task = asyncio.create_task(lease.encode(fill(1), CONFIG, 20.0))
    await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await lease.close()
    assert pool.leases == 0


async def test_a_cancellation_that_comes_with_the_frame_is_not_lost(pool: WorkerPool) -> None:
    lease = pool.open(CONFIG, 64)

    async def encode_for_ever() -> None:
        while True:
            await lease.encode(fill(100), CONFIG, 20.0)

    task = asyncio.create_task(encode_for_ever())
    while lease.in_flight is None:
        await asyncio.sleep(0)
    lease.in_flight.add_done_callback(lambda _: task.cancel())
    done, _ = await asyncio.wait({task}, timeout=10)
    assert task in done
    assert task.cancelled()
    await lease.close()


async def test_a_publisher_who_leaves_before_a_worker_took_it_over_harms_nobody(pool: WorkerPool) -> None:
    leases = [pool.open(CONFIG, 64) for _ in range(2)]
    await asyncio.gather(*(numbers(lease, 1) for lease in leases))
    pids = pool.pids
    for worker in pool._workers:
        gone = pool.open(CONFIG, 64)
        order = gone.open_order()
        await gone.close()
        worker.connection.send(order)
    for lease in leases:
        assert (await numbers(lease, 1))[0][1:] == (1, "p")
        await lease.close()
    assert (pool.pids, pool.replaced) == (pids, 0)


async def test_publishers_are_shared_out_and_move_to_a_new_worker(pool: WorkerPool) -> None:
    leases = [pool.open(CONFIG, 64) for _ in range(4)]
    await asyncio.gather(*(numbers(lease, 1) for lease in leases))
    assert sorted(len(worker.leases) for worker in pool._workers) == [2, 2]
    os.kill(pool.pids[0], 9)
    await until(lambda: pool.replaced == 1 and all(worker.ready for worker in pool._workers))
    assert sorted(len(worker.leases) for worker in pool._workers) == [2, 2]
    for lease in leases:
        assert (await numbers(lease, 1))[0][1:] == (1, "p")
        await lease.close()
