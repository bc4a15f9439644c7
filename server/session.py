"""One participant: their WebSocket and connection on one side, the room on the other."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from av import VideoFrame

from server.audio import LineTimestamps
from server.clock import now_ms
from server.datagram import RecordKind, parse_datagram
from server.errors import DatagramError, OfferError, PeerInputError, RequestError
from server.history import PublishedFrame
from server.messages import (
    Answer,
    ClientMessage,
    Clock,
    ClockReply,
    ErrorMessage,
    Join,
    Leave,
    Media,
    Offer,
    ServerMessage,
    TransportKind,
    UseTransport,
    serialize,
)
from server.peer import Peer, session_id
from server.publisher import Publisher
from server.reports import parse_report
from server.settings import Settings
from server.subscriber import PatchWanted, Subscriber

__all__ = ["CallEvents", "Session", "Signalling"]

logger = logging.getLogger(__name__)

POLL_PAUSE_S = 0.005
MAX_OUTGOING = 256  # signalling messages that wait for a slow client; beyond, its WebSocket is closed


class CallEvents(Protocol):
    """What a session tells its room."""

    def media_changed(self, session: "Session", *, audio: bool, video: bool) -> None:
        """Camera or microphone were switched."""
        ...

    def picture_came(self, session: "Session", picture: VideoFrame, capture_ms: float) -> None:
        """The camera sent a picture."""
        ...

    def audio_came(self, session: "Session", payload: bytes, timestamp: int) -> None:
        """The microphone sent an Opus packet."""
        ...

    def publishers_for(self, session: "Session") -> list[Publisher]:
        """Return whom the session sees."""
        ...


class Signalling:
    """Messages towards one WebSocket: a bounded queue and who waits for it."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[str | None] = asyncio.Queue(MAX_OUTGOING)
        self.close_code = 1000  # RFC 6455 section 7.4

    def send(self, message: ServerMessage) -> None:
        """Queue a message; a client that reads none of its messages is cut off."""
        try:
            self._queue.put_nowait(serialize(message))
        except asyncio.QueueFull:
            self.close_code = 1008
            self.end()

    def end(self) -> None:
        """Let the WebSocket be closed once what waits is sent."""
        if self._queue.full():
            self._queue.get_nowait()
        self._queue.put_nowait(None)

    async def next(self) -> str | None:
        """Return the next text to send, None at the end."""
        return await self._queue.get()


class Session:
    """Carries out one participant's messages; every task it starts ends with `close`."""

    def __init__(self, participant_id: str, room: str, join: Join, settings: Settings, call: CallEvents) -> None:
        self.id = participant_id
        self.room = room
        self.transport: TransportKind = "data" if join.transport == "data" else "rtp"
        self.signalling: Signalling | None = None
        self.peer: Peer | None = None
        self._settings = settings
        self._call = call
        self._peer_session = ""
        self._subscriber: Subscriber | None = None
        self._work = asyncio.Event()
        self._pump_task: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()  # cancelled by `close`
        self._closings: set[asyncio.Task[None]] = set()  # connections being closed: never cancelled, but awaited
        self._line_times = [LineTimestamps() for _ in range(settings.audio_lines)]
        self._closed = False

    @property
    def subscriber(self) -> Subscriber | None:
        """The splat stream, once there is a connection."""
        return self._subscriber

    def subscriber_figures(self) -> dict[str, object] | None:
        """Return what was sent over the connection, None while there is none."""
        subscriber, peer = self._subscriber, self.peer
        if subscriber is None or peer is None:
            return None
        repairs = [repair for stream in subscriber.streams if (repair := subscriber.repair_of(stream)) is not None]
        return {
            "id": self.id,
            "transport": peer.transport,
            "streams": len(repairs),
            "datagrams": subscriber.datagrams,
            "bytes": subscriber.bytes,
            "patches": sum(repair.patches for repair in repairs),
            "frames_again": sum(repair.frames_again for repair in repairs),
            "key_requests": peer.key_requests,
        }

    def tell(self, message: ServerMessage) -> None:
        """Send a signalling message; lost while the WebSocket is away, and told anew when it comes back."""
        if self.signalling is not None:
            self.signalling.send(message)

    def refuse(self, error: PeerInputError) -> None:
        """Tell the client what was wrong."""
        self.tell(ErrorMessage(code=error.code, message=error.message, expected=error.expected, got=error.got))

    async def handle(self, message: ClientMessage) -> None:
        """Carry out a message after `join`; raises RequestError for one that is not allowed now."""
        match message:
            case Offer(sdp=sdp):
                await self._take_offer(sdp)
            case Clock(t0=t0):
                self.tell(ClockReply(t0=t0, t1=now_ms()))
            case Media(audio=audio, video=video):
                self._call.media_changed(self, audio=audio, video=video)
            case UseTransport():
                self.transport = "data"
                if self.peer is not None:
                    self.peer.use_data_channel()
            case Join() | Leave():
                raise RequestError("state", "message not allowed now", expected="offer, clock, media", got=message.type)

    # what the connection tells (PeerEvents)

    def peer_ready(self) -> None:
        """Begin the splat stream."""
        logger.info("room %s, %s: connected over %s", self.room, self.id, self.peer.transport if self.peer else "-")
        now = now_ms()
        self._subscriber = Subscriber(now)
        for publisher in self._call.publishers_for(self):
            self.subscribe(publisher)
        if self._pump_task is None:
            self._pump_task = asyncio.create_task(self._pump())

    def picture_came(self, picture: VideoFrame, capture_ms: float) -> None:
        """Hand a camera picture on."""
        self._call.picture_came(self, picture, capture_ms)

    def audio_came(self, payload: bytes, timestamp: int) -> None:
        """Hand a voice packet on."""
        self._call.audio_came(self, payload, timestamp)

    def datagram_came(self, data: bytes | str) -> None:
        """Take reports; a malformed datagram ends this client and nobody else."""
        try:
            if isinstance(data, str):
                raise DatagramError("a datagram is binary", expected="bytes", got="text")
            for record in parse_datagram(data):
                if record.kind == RecordKind.REPORT and self._subscriber is not None:
                    self._subscriber.push_report(record.stream, parse_report(record.body), now_ms())
        except DatagramError as error:
            logger.info("room %s, %s: %s", self.room, self.id, error)
            self.refuse(error)
            if self.signalling is not None:
                self.signalling.close_code = 1008
                self.signalling.end()
        self._work.set()

    def peer_gone(self) -> None:
        """Let go of a connection that failed; the client offers a new one."""
        logger.info("room %s, %s: connection gone", self.room, self.id)
        self._subscriber = None
        if self.peer is not None:
            closing = asyncio.create_task(self._close_peer())
            self._closings.add(closing)
            closing.add_done_callback(self._closings.discard)

    # what the room tells

    def subscribe(self, publisher: Publisher) -> None:
        """Begin to receive a publisher."""
        if self._subscriber is not None and publisher.stream not in self._subscriber.streams:
            self._subscriber.add_stream(publisher.stream, publisher.history, publisher.patch_bytes, now_ms())
            self._work.set()

    def unsubscribe(self, stream: int) -> None:
        """Forget a publisher."""
        if self._subscriber is not None:
            self._subscriber.remove_stream(stream)

    def begin_epoch(self, publisher: Publisher) -> None:
        """Pass on that an epoch began."""
        if self._subscriber is not None:
            self._subscriber.begin_epoch(publisher.stream, now_ms())
            self._work.set()

    def push_frame(self, stream: int, frame: PublishedFrame) -> None:
        """Pass on a frame."""
        if self._subscriber is not None:
            self._subscriber.push_frame(stream, frame, now_ms())
            self._work.set()

    def push_figures(self, stream: int, body: bytes) -> None:
        """Pass on figures."""
        if self._subscriber is not None:
            self._subscriber.push_figures(stream, body, now_ms())
            self._work.set()

    def push_audio(self, line: int, speaker: str, payload: bytes, timestamp: int) -> None:
        """Pass on a voice packet."""
        if self.peer is not None and line < len(self._line_times):
            self.peer.send_audio(line, payload, self._line_times[line].map(speaker, timestamp, now_ms()))

    async def close(self) -> None:
        """End every task and the connection."""
        self._closed = True
        self._subscriber = None
        tasks = [*self._tasks, *([self._pump_task] if self._pump_task else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, *self._closings, return_exceptions=True)
        await self._close_peer()
        if self.signalling is not None:
            self.signalling.end()

    async def _take_offer(self, sdp: str) -> None:
        """Answer an offer; a connection the client made anew takes the place of the one before."""
        session = session_id(sdp)
        if self.peer is None or self.peer.is_dead or session != self._peer_session:
            await self._close_peer()
            self._subscriber = None
            self.peer = Peer(self, self.transport, self._settings.ice_servers, f"{self.room}/{self.id}")
            self._peer_session = session
        try:
            answer = await self.peer.answer(sdp)
        except OfferError as error:
            logger.info("room %s, %s: %s", self.room, self.id, error)
            await self._close_peer()
            self.refuse(error)
            return
        self.tell(Answer(sdp=answer))

    async def _close_peer(self) -> None:
        """Close the connection."""
        peer, self.peer = self.peer, None
        if peer is not None:
            await peer.close()

    async def _pump(self) -> None:
        """Send what the subscriber has, at its pace."""
        while True:
            await self._work.wait()
            self._work.clear()
            while (subscriber := self._subscriber) is not None and (due_ms := subscriber.due_ms()) is not None:
                peer = self.peer
                if peer is None:
                    break
                wait_s = (due_ms - now_ms()) / 1000
                if wait_s > 0:
                    await asyncio.sleep(wait_s)
                    continue
                step = subscriber.poll(peer.queued_bytes, now_ms())
                for datagram in step.datagrams:
                    peer.send(datagram)
                for wanted in step.patches:
                    self._own(self._make_patch(subscriber, wanted))
                if (due_ms := subscriber.due_ms()) is not None and due_ms <= now_ms():
                    await asyncio.sleep(POLL_PAUSE_S)

    async def _make_patch(self, subscriber: Subscriber, wanted: PatchWanted) -> None:
        """Have a patch made off the event loop and queue it."""
        for publisher in self._call.publishers_for(self):
            if publisher.stream == wanted.stream:
                patch = await publisher.make_patch(wanted.since)
                if patch is not None:
                    subscriber.push_patch(wanted.stream, patch, now_ms())
                    self._work.set()

    def _own(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a task that ends with the session; its failure is logged."""
        if self._closed:
            work.close()
            return
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget(task))

    def _forget(self, task: asyncio.Task[None]) -> Callable[[asyncio.Task[None]], None]:
        """Return what to do when a task is done."""

        def forget(done: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if not done.cancelled() and (error := done.exception()) is not None:
                logger.error("room %s, %s: task failed", self.room, self.id, exc_info=error)

        return forget
