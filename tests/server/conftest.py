"""A whole server in the test's own event loop, with the fake encoder in its workers."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import uvicorn
from fastapi import FastAPI

from server.app import SOCKET_LIMIT_BYTES, STOP_S, create_app
from server.hub import Hub
from server.settings import Settings
from server.workers.shared import SEGMENT_PREFIX

FAKE_ENCODER = "tests.server.fake_encoder:FakeEncoder"
EARLIER_SEGMENTS: set[str] = set()


@dataclass
class RunningServer:
    """Where a server listens, and what is inside of it."""

    port: int
    hub: Hub

    @property
    def http(self) -> str:
        """Address of its pages."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws(self) -> str:
        """Address of its signalling."""
        return f"ws://127.0.0.1:{self.port}/ws"


@asynccontextmanager
async def run_server(settings: Settings, encoder: str = FAKE_ENCODER) -> AsyncIterator[RunningServer]:
    """Serve on a free port until the block ends."""
    app: FastAPI = create_app(settings, encoder=encoder)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        app,
        log_level="warning",
        ws_max_size=SOCKET_LIMIT_BYTES,
        lifespan="on",
        timeout_graceful_shutdown=STOP_S,  # a test that failed leaves its clients connected
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve([listener]))
    while not server.started:
        if task.done():
            await task
        await asyncio.sleep(0.01)
    try:
        yield RunningServer(listener.getsockname()[1], app.state.hub)
    finally:
        server.should_exit = True
        await task
        listener.close()


@pytest.fixture
async def server() -> AsyncIterator[RunningServer]:
    """A server with one worker that forgets broken clients at once."""
    async with run_server(Settings(workers=1, resume_s=0.0, importance=False)) as running:
        yield running


@pytest.fixture(autouse=True)
def _leave_earlier_segments_out() -> None:
    """What a test that failed has left is none of the next one's."""
    EARLIER_SEGMENTS.clear()
    EARLIER_SEGMENTS.update(own_segments())


def own_segments() -> set[str]:
    """Return the names of the shared memory that this process has made in this test and not freed."""
    names = {name for name in os.listdir("/dev/shm") if name.startswith(f"{SEGMENT_PREFIX}{os.getpid()}_")}
    return names - EARLIER_SEGMENTS


async def until(condition: Callable[[], object], timeout_s: float = 60.0) -> None:
    """Wait until a condition holds; the time is for a busy machine, on which a worker alone takes seconds to start."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.01)
