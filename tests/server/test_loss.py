"""Subscriber and receiver over a way that loses, delays and reorders, in simulated time: the receiver ends up exact."""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest

from codec.bitstream.patch import make_patch
from codec.config import EncoderConfig
from codec.state import state_hash
from loadtest.receiver import StreamReceiver
from server.datagram import parse_datagram
from server.history import FrameHistory, PublishedFrame
from server.repair import PatchParts
from server.subscriber import Subscriber
from tests.server.fake_encoder import FakeEncoder

STREAM = 7
DELAY_MS = 40.0


@dataclass
class Simulation:
    """One publisher, one subscriber and a bad way between them."""

    loss: float
    seed: int
    now_ms: float = 0.0
    events: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    count: int = 0

    def __post_init__(self) -> None:
        """Set everything up; the subscriber joins after the tenth frame."""
        self.random = random.Random(self.seed)
        self.encoder = FakeEncoder(EncoderConfig(64, 48, effort="live", importance=False))
        self.history = FrameHistory()
        self.subscriber = Subscriber(0.0)
        self.receiver = StreamReceiver()
        self.sending = False

    def at(self, when_ms: float, what: Callable[[], None]) -> None:
        """Do something later."""
        self.count += 1
        heapq.heappush(self.events, (when_ms, self.count, what))

    def travel(self, what: Callable[[], None]) -> None:
        """Let something arrive after the delay and some jitter, or never."""
        if self.random.random() >= self.loss:
            self.at(self.now_ms + DELAY_MS + self.random.uniform(0, 30), what)

    def publish(self) -> None:
        """Encode one picture."""
        grey = 80 + int(self.now_ms / 50) % 100
        config = self.encoder.config
        frame = self.encoder.encode(np.full((config.height_px, config.width_px, 3), grey, np.uint8))
        if frame.epoch_record is not None:
            self.history.begin_epoch(frame.epoch, frame.epoch_record)
            self.subscriber.begin_epoch(STREAM, self.now_ms)
        published = PublishedFrame(frame.epoch, frame.number, frame.kind, frame.parts, self.now_ms)
        self.history.push(published)
        self.subscriber.push_frame(STREAM, published, self.now_ms)

    def turn(self) -> None:
        """Turn the camera on its side."""
        config = EncoderConfig(48, 64, effort="live", importance=False)
        self.encoder = FakeEncoder(config, self.encoder.state, new_epoch=True)

    def poll(self) -> None:
        """Send what is due."""
        step = self.subscriber.poll(0, self.now_ms)
        for datagram in step.datagrams:
            self.travel(lambda datagram=datagram: self.receive(datagram))  # type: ignore[misc]
        for wanted in step.patches:
            state = self.encoder.state
            assert state is not None
            changed = self.encoder.last_changed if wanted.since >= 0 else None
            parts = make_patch(state, changed, wanted.since)
            made = PatchParts(state.epoch.epoch, wanted.since, state.frame_number, parts)
            self.at(self.now_ms + 8, lambda made=made: self.subscriber.push_patch(STREAM, made, self.now_ms))  # type: ignore[misc]

    def receive(self, datagram: bytes) -> None:
        """Take a datagram in."""
        for record in parse_datagram(datagram):
            self.receiver.push(record)

    def report(self) -> None:
        """Send a report back."""
        report = self.receiver.report(self.now_ms)
        self.travel(lambda: self.subscriber.push_report(STREAM, report, self.now_ms))

    def join(self) -> None:
        """Begin to subscribe."""
        self.subscriber.add_stream(STREAM, self.history, lambda since: 300, self.now_ms)

    def run(self, until_ms: float) -> None:
        """Let time pass."""
        while self.events and self.events[0][0] <= until_ms:
            self.now_ms, _, what = heapq.heappop(self.events)
            what()
        self.now_ms = until_ms


@pytest.mark.parametrize("loss", [0.0, 0.1, 0.4])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_receiver_ends_exact_whatever_is_lost(loss: float, seed: int) -> None:
    simulation = Simulation(loss, seed)
    for number in range(150):
        simulation.at(number * 33.3, simulation.publish)
    for tick in range(1600):
        simulation.at(tick * 5.0, simulation.poll)
    simulation.at(333.0, simulation.join)
    for tick in range(80):
        simulation.at(340 + tick * 100.0, simulation.report)
    simulation.run(8000.0)
    truth, state = simulation.encoder.state, simulation.receiver.state
    assert truth is not None
    assert state is not None
    assert state.frame_number == truth.frame_number == 149
    assert state_hash(state) == state_hash(truth)
    assert simulation.receiver.hash_bad == 0
    assert simulation.receiver.refused == 0
    repair = simulation.subscriber.repair_of(STREAM)
    assert repair is not None
    if loss == 0.0:
        assert repair.patches == 1
        assert repair.frames_again == 0


def test_a_new_epoch_in_the_middle_is_followed() -> None:
    simulation = Simulation(0.2, 5)
    for number in range(120):
        simulation.at(number * 33.3, simulation.publish)
    for tick in range(1600):
        simulation.at(tick * 5.0, simulation.poll)
    simulation.at(100.0, simulation.join)
    simulation.at(2000.0, simulation.turn)
    for tick in range(80):
        simulation.at(110 + tick * 100.0, simulation.report)
    simulation.run(8000.0)
    truth, state = simulation.encoder.state, simulation.receiver.state
    assert truth is not None
    assert state is not None
    assert truth.epoch.epoch == 1
    assert state.epoch == truth.epoch
    assert state_hash(state) == state_hash(truth)
