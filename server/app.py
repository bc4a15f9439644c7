"""The web application: routes, WebSocket, static files and life cycle."""

import asyncio
import logging
import mimetypes
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Response, WebSocket
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse
from starlette.staticfiles import StaticFiles
from starlette.types import Scope
from starlette.websockets import WebSocketDisconnect

import codec
from codec.config import EncoderConfig
from server.auth import check_token
from server.call import Call
from server.clock import now_ms
from server.errors import PeerInputError, RequestError
from server.hub import Hub
from server.messages import MAX_MESSAGE_BYTES, ErrorMessage, Join, Leave, parse_client_message
from server.metrics import render_metrics
from server.rate_limit import RateLimit
from server.session import Session, Signalling
from server.settings import Settings
from server.whep import register_whep
from server.workers.pool import ENCODER, WorkerPool

__all__ = ["create_app", "run"]

logger = logging.getLogger(__name__)

CODEC_FOLDER = Path(codec.__file__).parent
CLIENT_FOLDER = CODEC_FOLDER.parent / "client_web"
JOIN_WAIT_S = 10.0
SEND_WAIT_S = 10.0
STOP_S = 5  # for clients to take their leave when the server stops
MESSAGES_HZ, MESSAGES_BURST = 20.0, 100  # signalling messages of one client
CLOSE_NORMAL, CLOSE_POLICY, CLOSE_TOO_LARGE, CLOSE_ERROR = 1000, 1008, 1009, 1011
SOCKET_LIMIT_BYTES = 1 << 20  # above the protocol's own limit, so that a large message gets its error
NO_CACHE = {"Cache-Control": "no-cache"}  # browsers keep files but ask whether they changed


class ClientFiles(StaticFiles):
    """The client's modules, never cached without asking."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return a file with its cache header."""
        response = await super().get_response(path, scope)
        response.headers.update(NO_CACHE)
        return response


def create_app(settings: Settings, *, encoder: str = ENCODER) -> FastAPI:
    """Return the application; its workers start and stop with it.

    `encoder` names the encoder's class as "module:name", for tests.
    """
    warm_up = EncoderConfig(64, 64, effort="live", importance=settings.importance, threads=1)
    pool = WorkerPool(settings.worker_count, warm_up, encoder)
    hub = Hub(settings, pool)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await pool.start()
        try:
            yield
        finally:
            await hub.close()
            await pool.close()

    app = FastAPI(title="splatcall", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.hub = hub
    _register_pages(app)
    _register_figures(app, hub)
    register_whep(app, hub)

    @app.websocket("/ws")
    async def signalling(socket: WebSocket) -> None:
        await _serve_socket(socket, hub)

    return app


def run(settings: Settings, listeners: list[socket.socket]) -> None:
    """Serve on these sockets until stopped."""
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        ssl_certfile=settings.tls_cert or None,
        ssl_keyfile=settings.tls_key or None,
        ws_max_size=SOCKET_LIMIT_BYTES,
        log_level="info",
        access_log=False,
        timeout_graceful_shutdown=STOP_S,
    )
    try:
        uvicorn.Server(config).run(listeners)
    finally:
        app.state.hub.pool.kill()


def _register_pages(app: FastAPI) -> None:
    """Serve the client as it lies in its folder, and the entropy tables it shares with the codec."""
    mimetypes.add_type("text/javascript", ".js")
    mimetypes.add_type("text/javascript", ".mjs")

    @app.api_route("/", methods=["GET", "HEAD"])
    async def index() -> Response:
        return FileResponse(CLIENT_FOLDER / "index.html", headers=NO_CACHE)

    @app.api_route("/tables.json", methods=["GET", "HEAD"])
    async def tables() -> Response:
        return FileResponse(CODEC_FOLDER / "bitstream" / "tables.json", headers=NO_CACHE)

    for folder in ("src", "static"):
        if (CLIENT_FOLDER / folder).is_dir():
            app.mount(f"/{folder}", ClientFiles(directory=CLIENT_FOLDER / folder), name=folder)


def _register_figures(app: FastAPI, hub: Hub) -> None:
    """Health, metrics and the load test's figures."""

    @app.api_route("/healthz", methods=["GET", "HEAD"])
    async def healthz() -> Response:
        alive, wanted = len(hub.pool.pids), hub.settings.worker_count
        body = {"status": "ok" if alive else "no encode worker", "workers": alive, "expected": wanted}
        return JSONResponse(body, 200 if alive else 503)

    @app.get("/metrics")
    async def metrics() -> Response:
        return PlainTextResponse(render_metrics(hub), media_type="text/plain; version=0.0.4")

    @app.get("/api/rooms/{room}/stats")
    async def stats(room: str, since_ms: float = 0.0) -> Response:
        call = hub.get(room)
        if call is None:
            return JSONResponse({"error": "no such room"}, 404)
        figures = {"publishers": _publisher_figures(call, since_ms), "subscribers": call.subscriber_figures()}
        return JSONResponse({"room": room, "now": now_ms(), **figures})


def _publisher_figures(call: Call, since_ms: float) -> list[dict[str, object]]:
    """Return every publisher's encode records after a time."""
    return [
        {
            "id": publisher.participant_id,
            "stream": publisher.stream,
            "width": publisher.size.width_px if publisher.size else 0,
            "height": publisher.size.height_px if publisher.size else 0,
            "fps": publisher.fps,
            "dropped": publisher.dropped,
            "skipped": publisher.skipped,
            "frames": [
                {
                    "epoch": record.epoch,
                    "number": record.number,
                    "kind": record.kind,
                    "bytes": record.bytes,
                    "capture_ms": record.capture_ms,
                    "published_ms": record.published_ms,
                    "encode_ms": record.encode_ms,
                    "stages": record.stages_ms,
                }
                for record in publisher.records
                if record.published_ms > since_ms
            ],
        }
        for publisher in call.publishers
    ]


@dataclass
class _Seat:
    """What a WebSocket's client has in the call."""

    call: Call | None = None
    session: Session | None = None
    is_over: bool = False  # what comes after needs no waiting for the client to come back


async def _serve_socket(socket: WebSocket, hub: Hub) -> None:
    """Serve one client's WebSocket; it ends with its reader or its writer, whichever ends first."""
    origins = hub.settings.allowed_origins
    if origins and socket.headers.get("origin") not in origins:
        await socket.close(CLOSE_POLICY)
        return
    await socket.accept()
    signalling, seat = Signalling(), _Seat()
    writer = asyncio.create_task(_write(socket, signalling))
    reader = asyncio.create_task(_read(socket, hub, signalling, seat))
    try:
        await asyncio.wait({reader, writer}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
        call, session = seat.call, seat.session
        if call is not None and session is not None:
            is_over = seat.is_over or signalling.close_code != CLOSE_NORMAL
            await (call.leave(session) if is_over else call.disconnected(session, signalling))
        signalling.end()
        await asyncio.gather(writer, return_exceptions=True)


async def _read(socket: WebSocket, hub: Hub, signalling: Signalling, seat: _Seat) -> None:
    """Carry out a client's messages from join to leave; its errors end it and nothing else."""
    try:
        async with asyncio.timeout(JOIN_WAIT_S):
            join = await _receive_join(socket)
        check_token(hub.settings.token_secret, join.token, join.room)
        seat.call, seat.session = hub.join(join, signalling)
        await _serve_messages(socket, seat.session)
        seat.is_over = True
    except TimeoutError:
        signalling.close_code = CLOSE_POLICY
    except PeerInputError as error:
        seat.is_over = True
        logger.info("%s: %s", seat.session.id if seat.session else "newcomer", error)
        signalling.close_code = CLOSE_TOO_LARGE if error.code == "too-large" else CLOSE_POLICY
        signalling.send(ErrorMessage(code=error.code, message=error.message, expected=error.expected, got=error.got))
    except WebSocketDisconnect:
        logger.debug("%s: WebSocket closed", seat.session.id if seat.session else "newcomer")
    except Exception:  # our own mistake: it may cost this client the call, but nobody else
        seat.is_over = True
        logger.exception("%s: failed", seat.session.id if seat.session else "newcomer")
        signalling.close_code = CLOSE_ERROR


async def _receive_join(socket: WebSocket) -> Join:
    """Return the first message, which must be `join`."""
    message = parse_client_message(await _receive(socket))
    if not isinstance(message, Join):
        raise RequestError("state", "the first message must be a join", expected="join", got=message.type)
    return message


async def _serve_messages(socket: WebSocket, session: Session) -> None:
    """Carry out messages until `leave`."""
    limit = RateLimit(MESSAGES_HZ, MESSAGES_BURST)
    while not isinstance(message := parse_client_message(await _receive(socket)), Leave):
        limit.take(now_ms())
        await session.handle(message)


async def _receive(socket: WebSocket) -> str | bytes:
    """Return the next frame's content."""
    event = await socket.receive()
    if event["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(event.get("code", CLOSE_NORMAL))
    text: str | None = event.get("text")
    return text if text is not None else event.get("bytes") or b""


async def _write(socket: WebSocket, signalling: Signalling) -> None:
    """Send what is queued, then close; a client that takes nothing for a while is given up."""
    try:
        while (text := await signalling.next()) is not None:
            async with asyncio.timeout(SEND_WAIT_S):
                await socket.send_text(text)
        async with asyncio.timeout(SEND_WAIT_S):
            await socket.close(signalling.close_code)
    except (WebSocketDisconnect, RuntimeError, OSError, TimeoutError):
        logger.debug("a client went away while it was written to")


assert SOCKET_LIMIT_BYTES > MAX_MESSAGE_BYTES
