"""The encode worker: a process of its own that encodes pictures of one or more publishers, one after the other."""

import importlib
import logging
import os
import signal
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Protocol

import numpy as np
import numpy.typing as npt

from codec.config import EncoderConfig
from codec.types import EncodedFrame, SplatState
from server.workers.shared import PictureBuffer, StateBuffer

__all__ = [
    "NICENESS",
    "Close",
    "Encode",
    "Encoded",
    "EncoderProtocol",
    "Failed",
    "FromWorker",
    "Open",
    "Ready",
    "Stop",
    "ToWorker",
    "run_worker",
]

logger = logging.getLogger(__name__)

NICENESS = 5  # above the server's own: voices and joins come before finer pictures where cores are short


class EncoderProtocol(Protocol):
    """What a worker needs of `codec.encoder.Encoder`."""

    state: SplatState | None
    last_changed: npt.NDArray[np.int64]

    def encode(
        self,
        rgb: npt.NDArray[np.uint8],
        *,
        budget_ms: float | None = None,
        force_key: bool = False,
        midpoint: bool = False,
        time_s: float | None = None,
    ) -> EncodedFrame:
        """Encode one picture; with `midpoint` one was left out before it."""
        ...

    def close(self) -> None:
        """Free what the encoder holds."""
        ...


class EncoderFactory(Protocol):
    """What makes encoders, in the way of `codec.encoder.Encoder`."""

    def __call__(
        self, config: EncoderConfig, state: SplatState | None = None, *, new_epoch: bool = False
    ) -> EncoderProtocol:
        """Make an encoder that goes on from a state, or begins the epoch after it."""
        ...


@dataclass(frozen=True)
class Open:
    """Take over a publisher, going on from the state in its shared memory if there is one."""

    key: int
    factory: str  # "module:name" of an EncoderFactory
    config: EncoderConfig
    state_name: str
    picture_name: str
    long_side_px: int


@dataclass(frozen=True)
class Encode:
    """Encode the picture in the publisher's shared memory."""

    key: int
    ticket: int
    config: EncoderConfig  # of another size than before: a new epoch
    budget_ms: float
    time_s: float  # of the server's clock, for the bitrate
    force_key: bool = False
    midpoint: bool = False  # to be shown between the frame before and this one


@dataclass(frozen=True)
class Close:
    """Let go of a publisher."""

    key: int


@dataclass(frozen=True)
class Stop:
    """End the process."""


@dataclass(frozen=True)
class Ready:
    """The process has started."""


@dataclass(frozen=True)
class Encoded:
    """A frame; its state is in the shared memory already."""

    key: int
    ticket: int
    frame: EncodedFrame


@dataclass(frozen=True)
class Failed:
    """A picture could not be encoded."""

    key: int
    ticket: int
    message: str


ToWorker = Open | Encode | Close | Stop
FromWorker = Ready | Encoded | Failed


class _Publisher:
    """One publisher's encoder in this process."""

    def __init__(self, order: Open) -> None:
        self._factory = _factory_of(order.factory)
        self._config = order.config
        self._state = StateBuffer.attach(order.state_name, order.long_side_px)
        try:
            self._picture = PictureBuffer.attach(order.picture_name)
        except FileNotFoundError:
            self._state.close()
            raise
        self._encoder: EncoderProtocol | None = None
        self._changed_before: npt.NDArray[np.int64] | None = None  # by workers before this one, in this epoch
        self._epoch = -1
        self._record = b""

    def encode(self, order: Encode) -> EncodedFrame:
        """Encode the picture, write the state, return the frame."""
        if self._encoder is None or order.config != self._config:
            self._config = order.config
            self._restart()
        encoder = self._encoder
        assert encoder is not None
        picture = self._picture.view(order.config.width_px, order.config.height_px).copy()
        frame = encoder.encode(
            picture,
            budget_ms=order.budget_ms,
            force_key=order.force_key,
            midpoint=order.midpoint,
            time_s=order.time_s,
        )
        if frame.epoch_record is not None:
            self._record = frame.epoch_record
        if frame.epoch != self._epoch:
            self._epoch, self._changed_before = frame.epoch, None
        last_changed = encoder.last_changed
        if self._changed_before is not None:
            last_changed = np.maximum(last_changed, self._changed_before)
        assert encoder.state is not None
        self._state.write(encoder.state, last_changed, self._record)
        return frame

    def drop_encoder(self) -> None:
        """Close the encoder; the next picture makes one that goes on from the shared state."""
        encoder, self._encoder = self._encoder, None
        if encoder is not None:
            encoder.close()

    def close(self) -> None:
        """Free everything."""
        self.drop_encoder()
        self._state.close()
        self._picture.close()

    def _restart(self) -> None:
        """Make an encoder that goes on from the shared state, with no key frame unless the size is another."""
        self.drop_encoder()
        snapshot = self._state.read()
        if snapshot is None:
            self._encoder = self._factory(self._config)
            return
        state, config = snapshot.state, self._config
        self._epoch, self._record = state.epoch.epoch, snapshot.epoch_record
        self._changed_before = snapshot.last_changed
        resized = (state.epoch.width_px, state.epoch.height_px) != (config.width_px, config.height_px)
        self._encoder = self._factory(config, state, new_epoch=resized)


def run_worker(connection: Connection, factory: str, warm_up: EncoderConfig) -> None:
    """Serve orders until told to stop or the server is gone; the entry point of the process.

    An encoder is made and closed before `Ready`, so that the first picture does not wait for imports and models.
    """
    for ending in (signal.SIGINT, signal.SIGTERM):  # to a whole group they are for the server, which stops its workers
        signal.signal(ending, signal.SIG_IGN)
    os.nice(NICENESS)
    _factory_of(factory)(warm_up).close()
    publishers: dict[int, _Publisher] = {}
    connection.send(Ready())
    try:
        while not isinstance(order := connection.recv(), Stop):
            reply = _serve(order, publishers)
            if reply is not None:
                connection.send(reply)
    except (EOFError, ConnectionError):
        pass  # the server is gone: there is nobody left to work for
    finally:
        for publisher in publishers.values():
            publisher.close()
        connection.close()


def _factory_of(name: str) -> EncoderFactory:
    """Return the factory named as "module:name"."""
    module, _, attribute = name.partition(":")
    factory: EncoderFactory = getattr(importlib.import_module(module), attribute)
    return factory


def _serve(order: Open | Encode | Close, publishers: dict[int, _Publisher]) -> FromWorker | None:
    """Carry out one order."""
    match order:
        case Open(key=key):
            try:
                publishers[key] = _Publisher(order)
            except FileNotFoundError:
                logger.debug("publisher %s left before it was taken over", key)
            return None
        case Close(key=key):
            publisher = publishers.pop(key, None)
            if publisher is not None:
                publisher.close()
            return None
        case Encode(key=key, ticket=ticket):
            try:
                return Encoded(key, ticket, publishers[key].encode(order))
            except Exception as error:  # any failure of the codec is reported, and ends that encoder only
                logger.error("encoding failed:\n%s", traceback.format_exc())
                if key in publishers:
                    publishers[key].drop_encoder()
                return Failed(key, ticket, f"{type(error).__name__}: {error}")
