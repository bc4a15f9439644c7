"""A server process and headless Chromium, as people run them."""

import asyncio
import os
import shutil
import signal
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright

from tests.e2e.clip import RgbArray, load_clip, write_voice, write_y4m

READY_S = 60.0
KEEP_CONNECTIONS = """
    window.connections = [];
    window.RTCPeerConnection = class extends RTCPeerConnection {
      constructor(...parameters) { super(...parameters); window.connections.push(this); }
    };
"""
SOUND = """async (type) => {
    const sound = { packets: 0, energy: 0, at_s: 0 };
    for (const connection of window.connections) {
      for (const entry of (await connection.getStats()).values()) {
        if (entry.type !== type || entry.kind !== 'audio') continue;
        sound.packets += entry.packetsReceived ?? entry.packetsSent;
        sound.energy += entry.totalAudioEnergy ?? 0;
        sound.at_s = Math.max(sound.at_s, entry.timestamp / 1000);
      }
    }
    return sound;
}"""
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-renderer-backgrounding",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
]


@dataclass
class CallPage:
    """One page in a call, and what its console complained of."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    async def stats(self) -> dict[str, Any]:
        """Return `window.splatcall.stats()`."""
        stats: dict[str, Any] = await self.page.evaluate("() => window.splatcall.stats()")
        return stats

    async def heard(self) -> dict[str, float]:
        """Return what voices have brought: RTP packets, the energy of their sound, and when that was counted."""
        sound: dict[str, float] = await self.page.evaluate(SOUND, "inbound-rtp")
        return sound

    async def spoken(self) -> dict[str, float]:
        """Return the same of the page's own microphone, its energy left out."""
        sound: dict[str, float] = await self.page.evaluate(SOUND, "outbound-rtp")
        return sound

    async def snapshot(self, participant: str) -> str:
        """Return the picture now on a participant's canvas as a data URL."""
        url: str = await self.page.evaluate("id => window.splatcall.snapshot(id)", participant)
        return url


OpenPage = Callable[[str], Coroutine[Any, Any, CallPage]]


@pytest.fixture(scope="session")
def clip() -> RgbArray:
    """The source clip."""
    return load_clip()


@pytest.fixture
async def server_url() -> AsyncIterator[str]:
    """Run `splatcall serve` as a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = Path(sys.executable).with_name("splatcall")
    environment = {**os.environ, "SPLATCALL_RESUME_S": "1"}
    process = await asyncio.create_subprocess_exec(
        *(command, "serve", "--port", str(port)),
        env=environment,
        start_new_session=True,  # as for a service: where sessions share the cores, it has a share beside the test's
    )
    url = f"http://127.0.0.1:{port}"
    try:
        await asyncio.wait_for(_wait_until_healthy(url), READY_S)
        yield url
    finally:
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 20) in (0, -signal.SIGTERM), "the server stops cleanly"


@pytest.fixture
async def browser(tmp_path: Path, clip: RgbArray) -> AsyncIterator[Browser]:
    """Headless Chromium whose camera shows the clip, and whose microphone never falls silent."""
    executable = shutil.which("chromium")
    assert executable, "no chromium on PATH; `make setup-test` installs one"
    camera, microphone = tmp_path / "camera.y4m", tmp_path / "microphone.wav"
    write_y4m(camera, clip)
    write_voice(microphone)
    devices = (f"--use-file-for-fake-video-capture={camera}", f"--use-file-for-fake-audio-capture={microphone}")
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(
            executable_path=executable,
            headless=True,
            args=[*CHROMIUM_ARGUMENTS, *devices],
        )
        yield chromium
        await chromium.close()


@pytest.fixture
async def open_page(browser: Browser, server_url: str) -> AsyncIterator[OpenPage]:
    """Open pages of the call; at the end none of them may have complained."""
    pages: list[CallPage] = []

    async def open_one(query: str) -> CallPage:
        page = await browser.new_page(viewport={"width": 480, "height": 360})
        await page.add_init_script(KEEP_CONNECTIONS)
        call_page = CallPage(page)
        pages.append(call_page)

        def heard(message: ConsoleMessage) -> None:
            if message.type == "error":
                call_page.complaints.append(message.text)

        page.on("console", heard)
        page.on("pageerror", lambda error: call_page.complaints.append(str(error)))
        await page.goto(f"{server_url}/?{query}")
        return call_page

    yield open_one
    assert [page.complaints for page in pages] == [[] for _ in pages]


async def _wait_until_healthy(url: str) -> None:
    """Poll the health check."""

    def is_healthy() -> bool:
        try:
            with urllib.request.urlopen(url + "/healthz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    while not await asyncio.to_thread(is_healthy):
        await asyncio.sleep(0.2)
