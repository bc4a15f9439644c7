"""A caller made of aiortc: joins a room, publishes tracks, follows everybody's splats over the data channel."""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgpack
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcdatachannel import RTCDataChannel
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from loadtest.receiver import StreamReceiver
from server.datagram import Record, RecordKind, pack_datagram, parse_datagram
from server.reports import serialize_report

__all__ = ["CallClient", "CallError", "Figures", "wall_ms"]

REPORT_S = 0.1
CLOCK_PINGS = 5


class CallError(Exception):
    """The server refused something; `error` is its message."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(str(error))
        self.error = error


def wall_ms() -> float:
    """Return this process's own milliseconds."""
    return time.monotonic() * 1000


@dataclass
class Figures:
    """What a stream's figures records have told."""

    capture_ms: dict[tuple[int, int], float] = field(default_factory=dict)  # server time, by epoch and frame number
    last: dict[str, Any] = field(default_factory=dict)


class CallClient:
    """One participant; `on_frame(stream, receiver)` is called whenever a stream's exact state moved on."""

    def __init__(self, on_frame: Callable[[int, StreamReceiver], None] | None = None) -> None:
        self.id = ""
        self.joined: dict[str, Any] = {}
        self.messages: list[dict[str, Any]] = []
        self.receivers: dict[int, StreamReceiver] = {}
        self.figures: dict[int, Figures] = {}
        self.tracks: list[MediaStreamTrack] = []
        self.datagrams = 0
        self.join_sent_ms = 0.0
        self.first_picture_ms: float | None = None
        self.clock_offset_ms = 0.0  # server's clock less ours
        self.clock_trip_ms = float("inf")
        self._on_frame = on_frame
        self._socket: ClientConnection | None = None
        self._pc: RTCPeerConnection | None = None
        self._channel: RTCDataChannel | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._arrived = asyncio.Event()

    async def join(self, url: str, room: str, name: str, **fields: object) -> dict[str, Any]:
        """Open the WebSocket and join; raises CallError when refused."""
        self._socket = await connect(url, max_size=1 << 20)
        self._tasks.append(asyncio.create_task(self._read_messages()))
        self.join_sent_ms = wall_ms()
        defaults = {"protocol": 1, "transport": "data", "audio": True, "video": True}
        await self.send({"type": "join", "room": room, "name": name, **defaults, **fields})
        self.joined = await self.expect("joined")
        self.id = self.joined["id"]
        return self.joined

    async def call(
        self, video: MediaStreamTrack | None = None, audio: MediaStreamTrack | None = None, audio_lines: int = 1
    ) -> None:
        """Offer the lines of a page without an RTP line for splats, and wait for the answer."""
        pc = self._pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        pc.on("track", self.tracks.append)
        for kind, track in (("audio", audio), ("video", video)):
            if track is None:
                pc.addTransceiver(kind, direction="inactive")
            else:
                pc.addTransceiver(track, direction="sendonly")
        for _ in range(audio_lines):
            pc.addTransceiver("audio", direction="recvonly")
        self._channel = pc.createDataChannel("splat", ordered=False, maxRetransmits=0)
        self._channel.on("message", self._take_datagram)
        await pc.setLocalDescription(await pc.createOffer())
        await self.send({"type": "offer", "sdp": pc.localDescription.sdp})
        answer = await self.expect("answer")
        await pc.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))
        self._tasks.append(asyncio.create_task(self._report()))

    async def set_clock(self) -> None:
        """Learn the server's clock from the quickest of a few pings."""
        for _ in range(CLOCK_PINGS):
            sent_ms = wall_ms()
            await self.send({"type": "clock", "t0": sent_ms})
            reply = await self.expect("clock")
            trip_ms = wall_ms() - sent_ms
            if trip_ms < self.clock_trip_ms:
                self.clock_trip_ms = trip_ms
                self.clock_offset_ms = reply["t1"] - (sent_ms + trip_ms / 2)

    async def send(self, message: dict[str, Any]) -> None:
        """Send one signalling message."""
        assert self._socket is not None
        await self._socket.send(json.dumps(message))

    async def expect(self, kind: str, timeout_s: float = 10.0) -> dict[str, Any]:
        """Return the next message of a kind; raises CallError for an error message meanwhile."""
        async with asyncio.timeout(timeout_s):
            while True:
                for index, message in enumerate(self.messages):
                    if message["type"] in (kind, "error"):
                        del self.messages[index]
                        if message["type"] == "error" and kind != "error":
                            raise CallError(message)
                        return message
                self._arrived.clear()
                await self._arrived.wait()

    def send_datagram(self, data: bytes) -> None:
        """Send bytes over the data channel."""
        assert self._channel is not None
        self._channel.send(data)

    async def close(self, *, leave: bool = True) -> None:
        """Leave the room and end everything."""
        if leave and self._socket is not None:
            with contextlib.suppress(ConnectionClosed):
                await self.send({"type": "leave"})
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._socket is not None:
            await self._socket.close()
        if self._pc is not None:
            await self._pc.close()

    async def _read_messages(self) -> None:
        assert self._socket is not None
        with contextlib.suppress(ConnectionClosed):
            async for text in self._socket:
                self.messages.append(json.loads(text))
                self._arrived.set()

    def _take_datagram(self, data: bytes) -> None:
        self.datagrams += 1
        for record in parse_datagram(data):
            if record.kind == RecordKind.FIGURES:
                self._take_figures(record)
                continue
            receiver = self.receivers.setdefault(record.stream, StreamReceiver())
            if receiver.push(record):
                if self.first_picture_ms is None:
                    self.first_picture_ms = wall_ms()
                if self._on_frame is not None:
                    self._on_frame(record.stream, receiver)

    def _take_figures(self, record: Record) -> None:
        figures = self.figures.setdefault(record.stream, Figures())
        figures.last = msgpack.unpackb(record.body)
        figures.capture_ms = {(epoch, number): ms for epoch, number, ms, _ in figures.last["frames"]}

    async def _report(self) -> None:
        """Send reports; for streams nothing is known of yet there is nobody to report about."""
        with contextlib.suppress(MediaStreamError):
            while True:
                await asyncio.sleep(REPORT_S)
                if self._channel is None or self._channel.readyState != "open":
                    continue
                for stream, receiver in self.receivers.items():
                    body = serialize_report(receiver.report(wall_ms()))
                    self._channel.send(pack_datagram([Record(stream, RecordKind.REPORT, body)]))
