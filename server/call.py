"""A room with people in it: sessions, publishers and viewers, and what passes between them."""

import asyncio
import logging
import secrets
from collections.abc import Callable, Coroutine
from typing import Any

from av import VideoFrame

from server.errors import RequestError
from server.history import PublishedFrame
from server.messages import Join, Joined
from server.peer import ViewerPeer
from server.publisher import Publisher
from server.room import Outgoing, Room
from server.session import Session, Signalling
from server.settings import Settings
from server.tracks import SplatVideo
from server.workers.pool import WorkerPool

__all__ = ["Call"]

logger = logging.getLogger(__name__)


class _Viewer:
    """One WHEP viewer of one participant."""

    def __init__(self, peer: ViewerPeer, participant_id: str) -> None:
        self.peer = peer
        self.participant_id = participant_id


class Call:
    """Everything that lives in one room; `close` frees it."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        pool: WorkerPool,
        active_publishers: Callable[[], int],
        on_empty: Callable[["Call"], None],
    ) -> None:
        self.room = Room(name, settings.max_participants, settings.audio_lines)
        self._settings = settings
        self._pool = pool
        self._active_publishers = active_publishers
        self._on_empty = on_empty
        self._sessions: dict[str, Session] = {}
        self._publishers: dict[str, Publisher] = {}
        self._videos: dict[str, SplatVideo] = {}
        self._viewers: dict[str, _Viewer] = {}
        self._graces: dict[str, asyncio.Task[None]] = {}
        self._closings: set[asyncio.Task[object]] = set()

    @property
    def name(self) -> str:
        """Name of the room."""
        return self.room.name

    @property
    def publishers(self) -> list[Publisher]:
        """All publishers."""
        return list(self._publishers.values())

    @property
    def viewers(self) -> int:
        """WHEP viewers of all participants."""
        return len(self._viewers)

    def subscriber_figures(self) -> list[dict[str, object]]:
        """Return what each participant with a connection was sent."""
        figures = (session.subscriber_figures() for session in self._sessions.values())
        return [figure for figure in figures if figure is not None]

    @property
    def key_requests(self) -> int:
        """Key frame requests for the splat lines of all who are connected."""
        return sum(session.peer.key_requests for session in self._sessions.values() if session.peer is not None)

    def join(self, join: Join, signalling: Signalling) -> Session:
        """Let somebody in, or back in by their resume key; raises RequestError."""
        person = self.room.find_resume(join.resume)
        if person is not None:
            session = self._resume(person.id, signalling)
        else:
            person, outgoing = self.room.join(
                secrets.token_urlsafe(9), secrets.token_urlsafe(18), join.name, audio=join.audio, video=join.video
            )
            session = Session(person.id, self.name, join, self._settings, self)
            session.signalling = signalling
            self._sessions[person.id] = session
            self._deliver([message for message in outgoing if message.to != person.id])
            logger.info("room %s, %s: joined as stream %s", self.name, person.id, person.stream)
        session.tell(
            Joined(
                id=person.id,
                room=self.name,
                resume=person.resume,
                audio_lines=self._settings.audio_lines,
                transport=session.transport,
                participants=self.room.others(person.id),
            )
        )
        self._deliver([self.room.lines_message(person.id)])
        return session

    async def disconnected(self, session: Session, signalling: Signalling) -> None:
        """The WebSocket broke: keep the participant for a while, in case they come back."""
        if session.signalling is not signalling or session.id not in self._sessions:
            return
        session.signalling = None
        if self._settings.resume_s == 0:
            await self.leave(session)
            return
        self._graces[session.id] = asyncio.create_task(self._leave_later(session))

    async def leave(self, session: Session) -> None:
        """Let somebody out and free all that is theirs, even if the caller is cancelled meanwhile."""
        if self._sessions.pop(session.id, None) is not None:
            logger.info("room %s, %s: left", self.name, session.id)
            grace = self._graces.pop(session.id, None)
            if grace is not None and grace is not asyncio.current_task():
                grace.cancel()
            person = self.room.get(session.id)
            self._deliver(self.room.leave(session.id))
            if person is not None:
                for other in self._sessions.values():
                    other.unsubscribe(person.stream)
            self._close_later(self._free(session))
        await self._closed()

    async def close(self) -> None:
        """Let everybody out."""
        for session in list(self._sessions.values()):
            await self.leave(session)
        await self._closed()

    async def _free(self, session: Session) -> None:
        """Free what belongs to somebody who has left."""
        for viewer_id in [key for key, viewer in self._viewers.items() if viewer.participant_id == session.id]:
            await self.end_viewer(viewer_id)
        await session.close()
        publisher = self._publishers.pop(session.id, None)
        if publisher is not None:
            await publisher.close()

    async def _closed(self) -> None:
        """Wait until all that is being freed is free."""
        if self._closings:
            await asyncio.wait(self._closings)

    def _close_later(self, work: Coroutine[Any, Any, object]) -> None:
        """Run a task that frees something: never cancelled, but awaited by `close`.

        The room is empty when the last of them is done: forgotten sooner, nobody would wait for it at the end.
        """

        def done(task: asyncio.Task[object]) -> None:
            self._closings.discard(task)
            if not self._closings and not self._sessions:
                self._on_empty(self)

        task = asyncio.create_task(work)
        self._closings.add(task)
        task.add_done_callback(done)

    # what sessions tell (CallEvents)

    def media_changed(self, session: Session, *, audio: bool, video: bool) -> None:
        """Tell the others what somebody sends now."""
        self._deliver(self.room.set_media(session.id, audio=audio, video=video))

    def picture_came(self, session: Session, picture: VideoFrame, capture_ms: float) -> None:
        """Give a picture to the participant's publisher, made with their first one."""
        person = self.room.get(session.id)
        if person is None or session.id not in self._sessions:
            return
        publisher = self._publishers.get(session.id)
        if publisher is None:
            publisher = Publisher(session.id, person.stream, self._pool, self._settings, self, self._active_publishers)
            self._publishers[session.id] = publisher
            for other in self._sessions.values():
                if other is not session:
                    other.subscribe(publisher)
        publisher.offer(picture, capture_ms)

    def audio_came(self, session: Session, payload: bytes, timestamp: int) -> None:
        """Forward a voice packet to everybody who has a line for the speaker, and to the speaker's viewers."""
        for person in self.room:
            line = person.lines.line_of(session.id)
            listener = self._sessions.get(person.id)
            if line is not None and listener is not None:
                listener.push_audio(line, session.id, payload, timestamp)
        for viewer in self._viewers.values():
            if viewer.participant_id == session.id:
                viewer.peer.audio.push_opus(payload, timestamp)

    def publishers_for(self, session: Session) -> list[Publisher]:
        """Return everybody else's publishers."""
        return [publisher for key, publisher in self._publishers.items() if key != session.id]

    # what publishers tell (PublisherSink)

    def epoch_began(self, publisher: Publisher) -> None:
        """Pass a new epoch on."""
        for session in self._others(publisher):
            session.begin_epoch(publisher)

    def frame_published(self, publisher: Publisher, frame: PublishedFrame) -> None:
        """Pass a frame on."""
        for session in self._others(publisher):
            session.push_frame(publisher.stream, frame)
        video = self._videos.get(publisher.participant_id)
        if video is not None:
            video.frame_published()

    def figures_made(self, publisher: Publisher, body: bytes) -> None:
        """Pass figures on."""
        for session in self._others(publisher):
            session.push_figures(publisher.stream, body)

    # WHEP

    async def add_viewer(self, participant_id: str, sdp: str) -> tuple[str, str]:
        """Answer a viewer's offer; returns its id and the answer. Raises RequestError or OfferError."""
        if self.room.get(participant_id) is None:
            raise RequestError("not-found", "no such participant", expected="an id from the room", got=participant_id)
        if (
            sum(viewer.participant_id == participant_id for viewer in self._viewers.values())
            >= self._settings.max_viewers
        ):
            raise RequestError("busy", "too many viewers", expected=f"at most {self._settings.max_viewers}")
        publisher = self._publishers.get(participant_id)
        if publisher is None:
            raise RequestError("no-picture", "the participant sends no picture", expected="a camera that is on")
        viewer_id = secrets.token_urlsafe(12)
        peer = ViewerPeer(self._settings.ice_servers, viewer_id, lambda: self._viewer_gone(viewer_id))
        self._viewers[viewer_id] = _Viewer(peer, participant_id)
        video = self._videos.get(participant_id)
        if video is None:
            video = self._videos[participant_id] = SplatVideo(publisher, self._settings.whep_bitrate_kbps)
        video.add(peer.video)
        try:
            answer = await peer.answer(sdp, video.ask_key)
        except Exception:
            await self.end_viewer(viewer_id)
            raise
        return viewer_id, answer

    async def end_viewer(self, viewer_id: str) -> bool:
        """End one viewer; tell whether there was one."""
        viewer = self._viewers.pop(viewer_id, None)
        if viewer is None:
            return False
        video = self._videos.get(viewer.participant_id)
        if video is not None:
            video.remove(viewer.peer.video)
            if video.viewers == 0:
                del self._videos[viewer.participant_id]
                await video.close()
        await viewer.peer.close()
        return True

    def _viewer_gone(self, viewer_id: str) -> None:
        """End a viewer whose connection failed."""
        self._close_later(self.end_viewer(viewer_id))

    def _resume(self, participant_id: str, signalling: Signalling) -> Session:
        """Give a participant a new WebSocket in place of the one that broke, or that is still open elsewhere."""
        session = self._sessions[participant_id]
        grace = self._graces.pop(participant_id, None)
        if grace is not None:
            grace.cancel()
        if session.signalling is not None:
            session.signalling.end()
        session.signalling = signalling
        logger.info("room %s, %s: resumed", self.name, participant_id)
        return session

    async def _leave_later(self, session: Session) -> None:
        """Let a participant out whose WebSocket did not come back."""
        await asyncio.sleep(self._settings.resume_s)
        await self.leave(session)

    def _others(self, publisher: Publisher) -> list[Session]:
        return [session for key, session in self._sessions.items() if key != publisher.participant_id]

    def _deliver(self, outgoing: list[Outgoing]) -> None:
        for message in outgoing:
            session = self._sessions.get(message.to)
            if session is not None:
                session.tell(message.message)
