"""Callers for tests of a whole server."""

from loadtest.client import CallClient
from loadtest.receiver import StreamReceiver
from tests.server.conftest import RunningServer, until
from tests.server.media import GreyTrack

__all__ = ["publish", "start_call", "watch"]


async def publish(server: RunningServer, track: GreyTrack, room: str = "room", name: str = "Pat") -> CallClient:
    """Join and publish, and wait for the first frames."""
    client = CallClient()
    await client.join(server.ws, room, name)
    await client.call(track)
    await until(lambda: any(len(p.records) > 3 for p in server.hub.publishers))
    return client


async def watch(server: RunningServer, room: str = "room", name: str = "Wim") -> CallClient:
    """Join and receive only."""
    client = CallClient()
    await client.join(server.ws, room, name, video=False, audio=False)
    await client.call()
    return client


async def start_call(
    server: RunningServer, track: GreyTrack | None = None
) -> tuple[CallClient, CallClient, StreamReceiver]:
    """Return a publisher, a viewer, and what follows the publisher there, with its first frames shown."""
    publisher = await publish(server, track or GreyTrack())
    viewer = await watch(server)
    await until(lambda: any(receiver.frames > 3 for receiver in viewer.receivers.values()))
    (receiver,) = viewer.receivers.values()
    return publisher, viewer, receiver
