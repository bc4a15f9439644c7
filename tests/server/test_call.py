"""Calls through a whole server with aiortc peers: joins, splats, voices, leaves, bad input."""

import asyncio
import gc
import json
import os
from pathlib import Path

import httpx
import pytest
from av import AudioFrame
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from codec.state import state_hash
from loadtest.client import CallClient, CallError
from server.datagram import Record, RecordKind, pack_datagram
from server.settings import Settings
from tests.server.calls import publish, start_call, watch
from tests.server.conftest import RunningServer, own_segments, run_server, until
from tests.server.media import GreyTrack, OpusToneTrack


async def test_a_viewer_joins_by_patch_and_follows_exactly(server: RunningServer) -> None:
    publisher, viewer, receiver = await start_call(server)
    await until(lambda: receiver.frames > 20)
    assert receiver.patches == 1
    assert (receiver.hash_bad, receiver.refused) == (0, 0)
    (source,) = server.hub.publishers
    await until(lambda: receiver.state is not None and receiver.state.frame_number >= 20)
    truth = source.state()
    assert truth is not None
    await until(lambda: receiver.state is not None and receiver.state.frame_number >= truth.frame_number)
    assert receiver.state is not None
    if receiver.state.frame_number == truth.frame_number:
        assert state_hash(receiver.state) == state_hash(truth)
    await until(lambda: viewer.figures)
    figures = next(iter(viewer.figures.values())).last
    assert figures["splats"] == 40
    assert figures["fps"] > 5
    assert publisher.receivers == {}, "nobody receives their own picture"
    await publisher.close()
    left = await viewer.expect("participant-left")
    assert left["id"] == publisher.id
    await viewer.close()


async def test_a_wrong_hash_gets_a_patch_and_no_key_frame(server: RunningServer) -> None:
    publisher, viewer, receiver = await start_call(server)
    assert receiver.patches == 1
    assert receiver.state is not None
    receiver.state.splats[0, 5] += 4
    await until(lambda: receiver.hash_bad == 1)
    await until(lambda: receiver.patches == 2)
    await until(lambda: receiver.frames > 60)
    assert receiver.hash_bad == 1
    (source,) = server.hub.publishers
    assert [record.kind for record in source.records].count("key") == 1
    await publisher.close()
    await viewer.close()


async def test_voices_are_forwarded_without_being_encoded_again(server: RunningServer) -> None:
    tone = OpusToneTrack()
    speaker = CallClient()
    await speaker.join(server.ws, "room", "Pat", video=False)
    await speaker.call(None, tone)
    listener = await watch(server)
    await until(lambda: listener.tracks)
    lines = await listener.expect("audio-lines")
    assert lines["lines"][0] == speaker.id
    frame = await asyncio.wait_for(listener.tracks[0].recv(), 10)
    assert isinstance(frame, AudioFrame)
    assert frame.sample_rate == 48_000
    heard: list[bytes] = []
    session = next(iter(server.hub.calls[0]._sessions.values()))
    session.audio_came = lambda payload, timestamp: heard.append(payload)  # type: ignore[method-assign]
    await until(lambda: len(heard) > 10)
    sent = set(tone.payloads)
    assert all(payload in sent for payload in heard)
    await speaker.close()
    await listener.close()


async def test_two_participants_of_one_name(server: RunningServer) -> None:
    first, second = await watch(server, name="Sam"), await watch(server, name="Sam")
    assert first.id != second.id
    assert [person["name"] for person in second.joined["participants"]] == ["Sam"]
    await first.close()
    await second.close()


async def test_a_camera_that_changes_its_aspect_begins_an_epoch(server: RunningServer) -> None:
    track = GreyTrack(64, 48)
    publisher, viewer, receiver = await start_call(server, track)
    track.size = (48, 64)
    await until(lambda: receiver.state is not None and receiver.state.epoch.height_px == 64)
    assert receiver.state is not None
    assert receiver.state.epoch.epoch == 1
    assert receiver.refused == 0
    await publisher.close()
    await viewer.close()


async def test_leaving_frees_everything(server: RunningServer) -> None:
    assert own_segments() == set()
    tasks_before = len(asyncio.all_tasks())
    threads_before = len(os.listdir("/proc/self/task"))
    for _ in range(2):
        publisher = await publish(server, GreyTrack())
        viewer = await watch(server)
        await until(lambda viewer=viewer: any(r.frames > 3 for r in viewer.receivers.values()))  # type: ignore[misc]
        assert len(own_segments()) == 2
        await publisher.close()
        await viewer.close()
        await until(lambda: not server.hub.calls)
    await until(lambda: server.hub.pool.leases == 0)
    assert own_segments() == set()
    gc.collect()
    await until(lambda: len(asyncio.all_tasks()) <= tasks_before)
    executor_threads = 8
    assert len(os.listdir("/proc/self/task")) <= threads_before + executor_threads


async def test_a_dead_worker_is_replaced_without_a_key_frame(server: RunningServer) -> None:
    publisher, viewer, receiver = await start_call(server)
    (source,) = server.hub.publishers
    os.kill(server.hub.pool.pids[0], 9)
    await until(lambda: server.hub.pool.replaced == 1)
    number = source.history.newest
    await until(lambda: receiver.state is not None and receiver.state.frame_number > number + 10, 20)
    assert [record.kind for record in source.records].count("key") == 1
    assert len({record.number for record in source.records}) == len(source.records)
    assert receiver.hash_bad == 0
    await publisher.close()
    await viewer.close()


@pytest.mark.parametrize(
    ("text", "code", "close_code"),
    [
        ("nonsense", "malformed", 1008),
        ('{"type":"leave"}', "state", 1008),
        ('{"type":"join","protocol":9,"room":"r","name":"n"}', "protocol", 1008),
        (json.dumps({"type": "offer", "sdp": "x" * 100_000}), "too-large", 1009),
    ],
)
async def test_bad_first_messages_get_an_error_and_close(
    server: RunningServer, text: str, code: str, close_code: int
) -> None:
    async with connect(server.ws) as socket:
        await socket.send(text)
        error = json.loads(await socket.recv())
        assert (error["type"], error["code"]) == ("error", code)
        assert error["message"]
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert socket.close_code in (close_code, 1000)


async def test_bad_input_ends_that_client_and_nobody_else(server: RunningServer) -> None:
    publisher = await publish(server, GreyTrack())
    viewer, bad, huge, liar = [await watch(server) for _ in range(4)]
    await bad.send({"type": "clock", "t0": "yesterday"})
    assert (await bad.expect("error"))["code"] == "malformed"
    await huge.send({"type": "clock", "t0": 1, "padding": "x" * 100_000})
    assert (await huge.expect("error"))["code"] == "too-large"
    await until(lambda: liar._channel is not None and liar._channel.readyState == "open")
    liar.send_datagram(pack_datagram([Record(0, RecordKind.REPORT, b"\xc1")]))
    assert (await liar.expect("error"))["code"] == "datagram"
    left = {(await viewer.expect("participant-left"))["id"] for _ in range(3)}
    assert left == {bad.id, huge.id, liar.id}
    frames = sum(receiver.frames for receiver in viewer.receivers.values())
    await until(lambda: sum(receiver.frames for receiver in viewer.receivers.values()) > frames + 10)
    for client in (publisher, viewer, bad, huge, liar):
        await client.close(leave=False)


@pytest.mark.parametrize(
    "sdp", ["nonsense", "v=0\r\n", "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=video 9 X 1\r\n"]
)
async def test_offers_that_are_none_get_an_error(server: RunningServer, sdp: str) -> None:
    client = CallClient()
    await client.join(server.ws, "room", "Pat")
    await client.send({"type": "offer", "sdp": sdp})
    with pytest.raises(CallError) as refused:
        await client.expect("answer")
    assert refused.value.error["code"] == "offer"
    await client.call()
    assert client.joined["room"] == "room", "a good offer works after the bad one"
    await client.close()


async def test_offers_without_video_work(server: RunningServer) -> None:
    listener = CallClient()
    await listener.join(server.ws, "room", "Lou", video=False)
    await listener.call(None, OpusToneTrack(), audio_lines=0)
    await listener.close()


async def test_clock_pings_are_answered(server: RunningServer) -> None:
    client = CallClient()
    await client.join(server.ws, "room", "Pat")
    await client.set_clock()
    assert client.clock_trip_ms < 1000
    await client.close()


async def test_a_broken_client_is_kept_for_a_while_and_comes_back() -> None:
    async with run_server(Settings(workers=1, resume_s=1.0, importance=False)) as server:
        other = await watch(server)
        first = await watch(server, name="Ida")
        await first.close(leave=False)
        second = CallClient()
        joined = await second.join(server.ws, "room", "Ida", resume=first.joined["resume"])
        assert joined["id"] == first.id
        assert [person["id"] for person in joined["participants"]] == [other.id]
        await second.close(leave=False)
        left = await other.expect("participant-left", 5)
        assert left["id"] == first.id
        await other.close()


async def test_tokens_and_full_rooms_are_checked() -> None:
    settings = Settings(workers=1, max_participants=1, token_secret="x" * 32)
    async with run_server(settings) as server:
        client = CallClient()
        with pytest.raises(CallError) as refused:
            await client.join(server.ws, "room", "Pat")
        assert refused.value.error["code"] == "token"
        await client.close(leave=False)


async def test_pages_and_figures(server: RunningServer) -> None:
    publisher = await publish(server, GreyTrack())
    async with httpx.AsyncClient(base_url=server.http) as http:
        health = await http.get("/healthz")
        assert health.json() == {"status": "ok", "workers": 1, "expected": 1}
        stats = (await http.get("/api/rooms/room/stats")).json()
        assert stats["publishers"][0]["id"] == publisher.id
        assert stats["publishers"][0]["frames"][0]["kind"] == "key"
        assert (await http.get("/api/rooms/none/stats")).status_code == 404
        assert "splatcall_publishers 1" in (await http.get("/metrics")).text
        tables = await http.get("/tables.json")
        assert tables.headers["content-type"] == "application/json"
        assert tables.headers["cache-control"] == "no-cache"
        assert tables.json()["precision"] == 24
        for hidden in ("/package.json", "/src/../package.json", "/node_modules/typescript/package.json"):
            assert (await http.get(hidden)).status_code == 404
        source = next(Path("client_web/src").rglob("*.js"))
        module = await http.get("/" + source.relative_to("client_web").as_posix())
        assert module.headers["content-type"].startswith("text/javascript")
    await publisher.close()
