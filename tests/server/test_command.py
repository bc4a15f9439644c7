"""`splatcall serve` as a process: what it refuses, and how it ends."""

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from loadtest.client import CallClient
from server.workers.shared import SEGMENT_PREFIX
from tests.server.conftest import until
from tests.server.media import GreyTrack

OPTIONS = ("--workers", "1", "--no-importance")


async def start(*options: str) -> asyncio.subprocess.Process:
    """Start the server on a port of its choice unless the options name one."""
    command = "import sys; from codec.cli import main; sys.exit(main(sys.argv[1:]))"
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", command, "serve", "--port", "0", *OPTIONS, *options),
        start_new_session=True,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def refusal(*options: str) -> str:
    """Return what a server that does not start says."""
    process = await start(*options)
    _, errors = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 2
    return errors.decode()


def children_of(pid: int) -> list[int]:
    """Return the ids of a process's children."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def test_a_missing_certificate_is_named(tmp_path: Path) -> None:
    errors = await refusal("--tls-cert", str(tmp_path / "no.crt"), "--tls-key", str(tmp_path / "no.key"))
    assert errors == f"splatcall serve: {tmp_path / 'no.crt'}: cannot be read: No such file or directory\n"


async def test_a_port_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        errors = await refusal("--port", str(port))
    assert errors == f"splatcall serve: cannot listen on 127.0.0.1, port {port}: address already in use\n"


@pytest.mark.parametrize("whole_group", [False, True])
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_with_calls_up_leaves_nothing_behind(ending: signal.Signals, whole_group: bool) -> None:
    process = await start()
    assert process.stdout is not None
    address = (await asyncio.wait_for(process.stdout.readline(), 30)).decode().split()[-1]
    clients = [CallClient() for _ in range(2)]
    for client in clients:
        await client.join(address.replace("http", "ws") + "/ws", "room", "Pat")
        await client.call(GreyTrack())
    await until(lambda: all(any(r.frames > 5 for r in client.receivers.values()) for client in clients), 40)
    children = children_of(process.pid)
    segments = [name for name in os.listdir("/dev/shm") if name.startswith(f"{SEGMENT_PREFIX}{process.pid}_")]
    assert len(segments) == 4
    (os.killpg if whole_group else os.kill)(process.pid, ending)
    _, errors = await asyncio.wait_for(process.communicate(), 20)
    assert "resource_tracker" not in errors.decode()
    assert "Traceback" not in errors.decode()
    await until(lambda: not any(Path(f"/proc/{child}").exists() for child in children))
    assert not set(segments) & set(os.listdir("/dev/shm"))
    for client in clients:
        await client.close()
