"""The pool of encode workers: starts them, shares publishers out, replaces the dead."""

import asyncio
import logging
import multiprocessing
from collections.abc import Callable
from itertools import count
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

import numpy as np
import numpy.typing as npt

from codec.config import EncoderConfig
from codec.types import EncodedFrame
from server.clock import now_ms
from server.errors import ServerStateError, WorkerError
from server.workers.process import Close, Encode, Encoded, Failed, FromWorker, Open, Ready, Stop, ToWorker, run_worker
from server.workers.shared import PictureBuffer, StateBuffer

__all__ = ["ENCODER", "Lease", "WorkerPool"]

logger = logging.getLogger(__name__)

ENCODER = "codec.encoder:Encoder"
STOP_S = 3.0
HUNG_S = 20.0  # nothing takes so long: the worker is killed and replaced
START_S = 120.0  # the same before it is ready, since imports and models can take long on a machine that is busy
RESTART_S = (0.0, 0.5, 2.0, 5.0)  # before the first, second, ... replacement in a row that never became ready


class Lease:
    """A publisher's place in the pool: shared memory that outlives workers, and one picture in flight at most."""

    def __init__(self, pool: "WorkerPool", key: int, config: EncoderConfig, long_side_px: int) -> None:
        self._pool = pool
        self.key = key
        self.config = config
        self.long_side_px = long_side_px
        self.state = StateBuffer.create(long_side_px)
        self.picture = PictureBuffer.create(long_side_px)
        self.in_flight: asyncio.Future[EncodedFrame] | None = None
        self.ticket = 0
        self._filling: asyncio.Future[None] | None = None  # outlives a cancelled `encode`

    async def encode(
        self,
        rgb_writer: Callable[[npt.NDArray[np.uint8]], None],
        config: EncoderConfig,
        budget_ms: float,
        *,
        midpoint: bool = False,
    ) -> EncodedFrame:
        """Have `rgb_writer` fill the shared picture (in a thread) and return its frame.

        Raises WorkerError when the worker died, hung or failed; the next call goes on from the shared state.
        """
        if self.in_flight is not None:
            raise ServerStateError("one picture in flight at most")
        self.config = config
        future: asyncio.Future[EncodedFrame] = asyncio.get_running_loop().create_future()
        self.in_flight = future
        try:
            self._filling = asyncio.ensure_future(asyncio.to_thread(self._fill, rgb_writer))
            await asyncio.shield(self._filling)
            self.ticket += 1
            order = Encode(self.key, self.ticket, config, budget_ms, now_ms() / 1000, midpoint=midpoint)
            self._pool.submit(self, order)
            limit_s = self._pool.limit_s(self)
            async with asyncio.timeout(limit_s):  # wait_for would lose a cancellation that comes with the frame
                return await future
        except TimeoutError:
            self._pool.kill_worker_of(self)
            raise WorkerError(f"no frame within {limit_s} s, worker killed") from None
        finally:
            self.in_flight = None

    async def close(self) -> None:
        """Give the place back and free the shared memory."""
        self._pool.release(self)
        if self._filling is not None:
            await asyncio.wait([self._filling])
        self.state.close()
        self.picture.close()

    def open_order(self) -> Open:
        """Return the order by which a worker takes this publisher over."""
        return Open(self.key, self._pool.factory, self.config, self.state.name, self.picture.name, self.long_side_px)

    def _fill(self, rgb_writer: Callable[[npt.NDArray[np.uint8]], None]) -> None:
        """Write the picture."""
        rgb_writer(self.picture.view(self.config.width_px, self.config.height_px))


class _Worker:
    """One process and the publishers it serves."""

    def __init__(self, process: SpawnProcess, connection: Connection) -> None:
        self.process = process
        self.connection = connection
        self.leases: dict[int, Lease] = {}
        self.ready = False


class WorkerPool:
    """Encode workers in their own processes; all methods run on the event loop's thread."""

    def __init__(self, workers: int, warm_up: EncoderConfig, factory: str = ENCODER) -> None:
        """Take the number of workers and the configuration of the encoder that each makes to warm up."""
        self.factory = factory
        self._warm_up = warm_up
        self.replaced = 0
        self._count = workers
        self._keys = count()
        self._workers: list[_Worker] = []
        self._homeless: list[Lease] = []
        self._endings: set[asyncio.Future[None]] = set()  # of dead workers
        self._restarts: set[asyncio.TimerHandle] = set()
        self._failures = 0
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids of the living workers."""
        return tuple(worker.process.pid for worker in self._workers if worker.process.pid is not None)

    @property
    def leases(self) -> int:
        """Publishers served."""
        return sum(len(worker.leases) for worker in self._workers) + len(self._homeless)

    async def start(self) -> None:
        """Start all workers; they become ready in their own time."""
        self._loop = asyncio.get_running_loop()
        for _ in range(self._count):
            self._spawn()

    async def close(self) -> None:
        """Stop all workers, killing those that do not stop by themselves."""
        self._closed = True
        for handle in self._restarts:
            handle.cancel()
        workers, self._workers = self._workers, []
        for worker in workers:
            self._detach(worker)
            try:
                worker.connection.send(Stop())
            except OSError:
                logger.debug("worker %s is gone already", worker.process.pid)
        await asyncio.gather(*self._endings, *(asyncio.to_thread(_end, worker) for worker in workers))

    def kill(self) -> None:
        """Kill all workers where there was no time for `close`; they take no notice of anything milder."""
        self._closed = True
        for worker in self._workers:
            worker.process.kill()

    def open(self, config: EncoderConfig, long_side_px: int) -> Lease:
        """Find a place for a new publisher."""
        lease = Lease(self, next(self._keys), config, long_side_px)
        self._place(lease)
        return lease

    def submit(self, lease: Lease, order: Encode) -> None:
        """Send a picture to the lease's worker; raises WorkerError while it has none."""
        worker = self._worker_of(lease)
        if worker is None:
            raise WorkerError("the worker is being replaced")
        self._send(worker, order)

    def limit_s(self, lease: Lease) -> float:
        """Return how long a frame may take of the lease's worker."""
        worker = self._worker_of(lease)
        return HUNG_S if worker is not None and worker.ready else START_S

    def release(self, lease: Lease) -> None:
        """Take a publisher out of the pool."""
        if lease in self._homeless:
            self._homeless.remove(lease)
        worker = self._worker_of(lease)
        if worker is not None:
            del worker.leases[lease.key]
            self._send(worker, Close(lease.key))

    def kill_worker_of(self, lease: Lease) -> None:
        """Kill a worker that hangs; its end is noticed like any other death."""
        worker = self._worker_of(lease)
        if worker is not None:
            worker.process.kill()

    def _worker_of(self, lease: Lease) -> _Worker | None:
        return next((worker for worker in self._workers if lease.key in worker.leases), None)

    def _spawn(self) -> None:
        """Start one worker."""
        assert self._loop is not None
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=run_worker, args=(theirs, self.factory, self._warm_up), name="splatcall-encode", daemon=True
        )
        process.start()
        theirs.close()
        worker = _Worker(process, ours)
        self._workers.append(worker)
        self._loop.add_reader(ours.fileno(), self._readable, worker)
        logger.info("encode worker %s started", process.pid)
        homeless, self._homeless = self._homeless, []
        for lease in homeless:
            self._place(lease)

    def _place(self, lease: Lease) -> None:
        """Give a publisher to the worker with the fewest, one that is ready if there is one."""
        if not self._workers:
            self._homeless.append(lease)
            return
        worker = min(self._workers, key=lambda worker: (len(worker.leases), not worker.ready))
        worker.leases[lease.key] = lease
        self._send(worker, lease.open_order())

    def _send(self, worker: _Worker, order: ToWorker) -> None:
        """Send an order; a broken pipe means a dead worker, which `_readable` notices."""
        try:
            worker.connection.send(order)
        except OSError:
            logger.debug("worker %s took no order", worker.process.pid)

    def _readable(self, worker: _Worker) -> None:
        """Take what a worker sent; the end of its pipe is its death."""
        try:
            while worker.connection.poll():
                self._receive(worker, worker.connection.recv())
        except (EOFError, OSError):
            self._died(worker)

    def _receive(self, worker: _Worker, message: FromWorker) -> None:
        """Hand a frame or failure to who waits for it."""
        if isinstance(message, Ready):
            worker.ready = True
            self._failures = 0
            self._share_out(worker)
            return
        lease = worker.leases.get(message.key)
        if lease is None or message.ticket != lease.ticket or lease.in_flight is None or lease.in_flight.done():
            return
        match message:
            case Encoded(frame=frame):
                lease.in_flight.set_result(frame)
            case Failed(message=text):
                lease.in_flight.set_exception(WorkerError(text))

    def _share_out(self, worker: _Worker) -> None:
        """Move publishers that have no picture in flight from the fullest worker to one that has just become ready."""
        while True:
            fullest = max(self._workers, key=lambda other: len(other.leases))
            movable = [lease for lease in fullest.leases.values() if lease.in_flight is None]
            if len(fullest.leases) < len(worker.leases) + 2 or not movable:
                return
            lease = movable[0]
            del fullest.leases[lease.key]
            self._send(fullest, Close(lease.key))
            worker.leases[lease.key] = lease
            self._send(worker, lease.open_order())

    def _died(self, worker: _Worker) -> None:
        """Replace a dead worker; its publishers go on elsewhere from their shared state."""
        if worker not in self._workers:
            return
        self._workers.remove(worker)
        self._detach(worker)
        logger.warning("encode worker %s died, %d publishers move", worker.process.pid, len(worker.leases))
        ending = asyncio.ensure_future(asyncio.to_thread(_end, worker))  # its pipe ends a moment before the process
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)
        self.replaced += 1
        for lease in worker.leases.values():
            if lease.in_flight is not None and not lease.in_flight.done():
                lease.in_flight.set_exception(WorkerError("the worker died"))
        orphans = list(worker.leases.values())
        delay_s = RESTART_S[min(self._failures, len(RESTART_S) - 1)]
        self._failures += 0 if worker.ready else 1
        if delay_s == 0:
            self._spawn()
        else:
            self._spawn_later(delay_s)
        for lease in orphans:
            self._place(lease)

    def _spawn_later(self, delay_s: float) -> None:
        """Start a replacement after a while."""
        assert self._loop is not None

        def spawn() -> None:
            self._restarts.discard(handle)
            if not self._closed:
                self._spawn()

        handle = self._loop.call_later(delay_s, spawn)
        self._restarts.add(handle)

    def _detach(self, worker: _Worker) -> None:
        """Stop reading from a worker."""
        if self._loop is not None:
            self._loop.remove_reader(worker.connection.fileno())


def _end(worker: _Worker) -> None:
    """Wait for a worker to stop, kill it if it does not; runs in a thread."""
    worker.process.join(STOP_S)
    if worker.process.is_alive():
        worker.process.kill()
        worker.process.join()
    worker.connection.close()
    worker.process.close()
