"""A server under attack: what one client does wrong, on purpose or not, and a call that must not notice."""

import asyncio
import contextlib
import gc
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from loadtest.client import CallClient, CallError
from server.settings import Settings
from tests.server.calls import publish, start_call
from tests.server.conftest import RunningServer, own_segments, run_server, until
from tests.server.media import GreyTrack

METRIC = "splatcall_key_requests "
JOIN = {"type": "join", "protocol": 1, "room": "room", "name": "Mal", "transport": "data"}


@pytest.fixture
async def call(server: RunningServer) -> AsyncIterator[CallClient]:
    """A call of two in the room; at the end the watcher still follows exactly, with the one key frame of the start."""
    publisher, viewer, receiver = await start_call(server)
    yield viewer
    frames = receiver.frames
    await until(lambda: receiver.frames > frames + 10)
    assert (receiver.hash_bad, receiver.refused) == (0, 0)
    (source,) = [found for found in server.hub.publishers if found.participant_id == publisher.id]
    assert [record.kind for record in source.records].count("key") == 1
    await viewer.close()
    await publisher.close()
    await until(lambda: not server.hub.calls)
    assert own_segments() == set()


async def answer_of(socket: ClientConnection, kind: str) -> dict[str, Any]:
    """Return the next message of a kind."""
    while True:
        message: dict[str, Any] = json.loads(await asyncio.wait_for(socket.recv(), 5))
        if message["type"] == kind:
            return message


async def talk(server: RunningServer, *messages: str | bytes | dict[str, Any]) -> tuple[str | None, int | None]:
    """Send messages from a new client and return the code of the error, and the code of the close."""
    code = None
    async with connect(server.ws, max_size=1 << 22) as socket:
        with contextlib.suppress(ConnectionClosed):
            for message in messages:
                await socket.send(json.dumps(message) if isinstance(message, dict) else message)
            code = (await answer_of(socket, "error"))["code"]
            while True:
                await asyncio.wait_for(socket.recv(), 5)
        return code, socket.close_code


BAD_MESSAGES: list[tuple[tuple[str | bytes | dict[str, Any], ...], str]] = [
    ((b"\x00\xff",), "malformed"),
    (("",), "malformed"),
    (("[" * 50_000,), "malformed"),
    (('{"type":"join"' * 1000,), "malformed"),
    (('{"type":"\\ud800"}',), "malformed"),
    (({"type": "offer", "sdp": "v=0"},), "state"),
    (({**JOIN, "room": "../etc"},), "malformed"),
    (({**JOIN, "room": "room\n"},), "malformed"),
    (({**JOIN, "room": ""},), "malformed"),
    (({**JOIN, "room": "x" * 65},), "malformed"),
    (({**JOIN, "room": "räume"},), "malformed"),
    (({**JOIN, "name": "   "},), "malformed"),
    (({**JOIN, "resume": "x" * 129},), "malformed"),
    (({**JOIN, "protocol": 2**70},), "protocol"),
    ((JOIN, JOIN), "state"),
    ((JOIN, {"type": "media", "audio": "yes", "video": 1}), "malformed"),
    ((JOIN, {"type": "joined"}), "malformed"),
    ((JOIN, {"type": "transport", "use": "pigeons"}), "malformed"),
    ((JOIN, {"type": "clock", "t0": 1, "padding": "x" * 70_000}), "too-large"),
    ((JOIN, *({"type": "clock", "t0": 1} for _ in range(400))), "too-many"),
]


async def test_bad_messages_end_their_client_with_an_error(server: RunningServer, call: CallClient) -> None:
    for messages, code in BAD_MESSAGES:
        assert (await talk(server, *messages))[0] == code, messages[-1]
    await until(lambda: len(server.hub.calls[0].room) == 2)


async def test_a_message_beyond_all_limits_is_cut_off(server: RunningServer, call: CallClient) -> None:
    _, close_code = await talk(server, "x" * (1 << 21))
    assert close_code == 1009


async def test_sockets_that_drop_at_any_moment_leave_nothing(server: RunningServer, call: CallClient) -> None:
    for sent in ((), (JOIN,), (JOIN, {"type": "offer", "sdp": await offer_of(video="sendonly")})):
        socket = await connect(server.ws)
        for message in sent:
            await socket.send(json.dumps(message))
        socket.transport.abort()
    await until(lambda: len(server.hub.calls[0].room) == 2)


async def make_offer(lines: int = 0, video: str | None = None, *, channel: bool = True) -> RTCPeerConnection:
    """Return a connection that has offered so many audio lines."""
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    for _ in range(lines):
        pc.addTransceiver("audio", direction="recvonly")
    if video:
        pc.addTransceiver("video", direction=video)
    if channel:
        pc.createDataChannel("splat", ordered=False, maxRetransmits=0)
    await pc.setLocalDescription(await pc.createOffer())
    return pc


async def offer_of(lines: int = 0, video: str | None = None, *, channel: bool = True) -> str:
    """Return the offer of a connection that goes away at once."""
    pc = await make_offer(lines, video, channel=channel)
    sdp: str = pc.localDescription.sdp
    await pc.close()
    return sdp


def without(sdp: str, *starts: str) -> str:
    """Return an offer without the lines that start so."""
    return "".join(line for line in sdp.splitlines(keepends=True) if not line.startswith(starts))


async def reply_to(server: RunningServer, sdp: str) -> dict[str, Any]:
    """Join, offer, and return the answer or the error."""
    client = CallClient()
    await client.join(server.ws, "room", "Mal")
    await client.send({"type": "offer", "sdp": sdp})
    try:
        return await client.expect("answer")
    except CallError as refused:
        return refused.error
    finally:
        await client.close()


async def test_strange_offers_get_an_answer_or_an_error(server: RunningServer, call: CallClient) -> None:
    plain = await offer_of(2, "sendonly")
    good = {
        "50 lines": await offer_of(49, None),
        "no video": await offer_of(1),
        "channel only": await offer_of(),
        "both ways": await offer_of(0, "sendrecv", channel=False),
        "no channel": await offer_of(1, "recvonly", channel=False),
        "unknown attributes": plain.replace("a=setup", "a=unknown:\xff\r\na=setup"),
    }
    bad = {
        "65 lines": without(await offer_of(65), "a=rtpmap", "a=rtcp-fb", "a=fmtp", "a=candidate", "a=extmap"),
        "nonsense": "\x00" * 1000,
        "lines only": "a=" + "x" * 5000,
        "no fingerprint": without(plain, "a=fingerprint"),
        "bad fingerprint": plain.replace("fingerprint:sha-", "fingerprint:md"),
        "no ice": without(plain, "a=ice-ufrag", "a=ice-pwd"),
        "other codecs": plain.replace("VP8", "VP7"),
        "port": plain.replace("m=video 9", "m=video nine").replace("m=video ", "m=video x"),
        "candidates": plain.replace("a=candidate:", "a=candidate:x "),
        "no group": plain.replace("a=mid:", "a=dim:"),
        "cut": plain[: len(plain) // 2],
    }
    for name, sdp in good.items():
        assert (await reply_to(server, sdp))["type"] == "answer", name
    for name, sdp in bad.items():
        reply = await reply_to(server, sdp)
        assert (reply["type"], reply.get("code")) == ("error", "offer"), name


async def test_a_truncated_offer_is_answered_or_refused(server: RunningServer, call: CallClient) -> None:
    client = CallClient()
    await client.join(server.ws, "room", "Mal")
    lines = (await offer_of(1, "sendonly")).splitlines(keepends=True)
    for length in range(1, len(lines), 4):
        await client.send({"type": "offer", "sdp": "".join(lines[:length])})
        with contextlib.suppress(CallError):
            await client.expect("answer")
        await client.send({"type": "clock", "t0": length})
        assert (await client.expect("clock"))["t0"] == length
    await client.close()


async def test_thirty_joins_fill_a_room_and_the_rest_is_told(server: RunningServer, call: CallClient) -> None:
    clients = [CallClient() for _ in range(30)]
    results = await asyncio.gather(*(c.join(server.ws, "room", "Sam") for c in clients), return_exceptions=True)
    refused = [result for result in results if isinstance(result, CallError)]
    assert len(refused) == 30 - 14
    assert {error.error["code"] for error in refused} == {"room-full"}
    assert len({client.id for client in clients if client.id}) == 14
    await asyncio.gather(*(client.close(leave=False) for client in clients))
    await until(lambda: len(server.hub.calls[0].room) == 2)


async def test_key_requests_for_splats_are_counted_and_ignored(server: RunningServer, call: CallClient) -> None:
    async with connect(server.ws) as socket:
        await socket.send(json.dumps({**JOIN, "transport": "rtp"}))
        pc = await make_offer(0, "recvonly")
        await socket.send(json.dumps({"type": "offer", "sdp": pc.localDescription.sdp}))
        answer = await answer_of(socket, "answer")
        await pc.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))
        (receiver,) = pc.getReceivers()
        await until(lambda: receiver.getSynchronizationSources())
        for _ in range(3):
            await receiver._send_rtcp_pli(receiver.getSynchronizationSources()[0].source)
        (room,) = server.hub.calls
        await until(lambda: room.key_requests >= 3)  # aiortc, which takes datagrams for pictures, sends its own too
        async with httpx.AsyncClient(base_url=server.http) as http:
            stats = (await http.get("/api/rooms/room/stats")).json()
            (count,) = [s["key_requests"] for s in stats["subscribers"] if s["transport"] == "rtp"]
            assert count >= 3
            (line,) = [found for found in (await http.get("/metrics")).text.splitlines() if found.startswith(METRIC)]
            assert float(line.split()[1]) >= count
        await pc.close()


async def test_a_camera_that_changes_all_the_time_is_followed(server: RunningServer) -> None:
    track = GreyTrack(64, 48)
    publisher, viewer, receiver = await start_call(server, track)
    for size in ((48, 64), (2, 2), (1280, 720), (16, 400), (64, 48)):
        track.size = size
        await asyncio.sleep(0.4)
    (source,) = server.hub.publishers
    await until(lambda: receiver.state is not None and receiver.state.epoch.epoch == source.history.epoch)
    await until(lambda: receiver.state is not None and receiver.state.epoch.width_px == 64)
    assert (receiver.hash_bad, receiver.refused) == (0, 0)
    await publisher.close()
    await viewer.close()


async def test_twenty_rounds_leave_no_task_and_no_memory() -> None:
    async with run_server(Settings(workers=1, resume_s=0.0, importance=False)) as server:
        tasks = len(asyncio.all_tasks())
        objects = 0
        for number in range(20):
            client = await publish(server, GreyTrack(), room=f"room-{number % 3}")
            await client.close(leave=number % 2 == 0)
            await until(lambda: not server.hub.calls)
            if number == 4:
                gc.collect()
                objects = len(gc.get_objects())
        await until(lambda: server.hub.pool.leases == 0 and len(asyncio.all_tasks()) <= tasks)
        gc.collect()
        assert own_segments() == set()
        assert len(gc.get_objects()) < objects + 15 * 200, "less than 200 objects a round"
