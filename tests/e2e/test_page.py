"""What the page does when something is missing: transports, canvases, devices, sockets; and what it says then."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, async_playwright

from tests.e2e.clip import RgbArray, write_y4m
from tests.e2e.conftest import CHROMIUM_ARGUMENTS

pytestmark = [pytest.mark.browser, pytest.mark.timeout(170)]

FAKE_DEVICES = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
CLICK_FREE = "--autoplay-policy=no-user-gesture-required"

NO_SCRIPT_TRANSFORM = "delete window.RTCRtpScriptTransform"
DEAF_SCRIPT_TRANSFORM = """
const Real = RTCRtpScriptTransform;
const deaf = new Worker(URL.createObjectURL(new Blob(['onrtctransform = () => {}'])));
window.RTCRtpScriptTransform = class { constructor() { return new Real(deaf, {}); } };
"""
NO_OFFSCREEN_CANVAS = "delete HTMLCanvasElement.prototype.transferControlToOffscreen"
KEEP_SOCKETS = """
const Real = WebSocket;
window.sockets = [];
window.WebSocket = class extends Real { constructor(url) { super(url); window.sockets.push(this); } };
"""


@asynccontextmanager
async def chromium(*extra: str, without: tuple[str, ...] = ()) -> AsyncIterator[Browser]:
    """Run headless Chromium with arguments added or left out."""
    executable = shutil.which("chromium")
    assert executable, "no chromium on PATH; `make setup-test` installs one"
    arguments = [argument for argument in CHROMIUM_ARGUMENTS if argument not in without]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=[*arguments, *extra])
        yield browser
        await browser.close()


async def open_page(browser: Browser, url: str, script: str = "") -> Page:
    """Open a page of its own context; errors in it fail the test."""
    context = await browser.new_context(viewport={"width": 640, "height": 480})
    page = await context.new_page()
    page.on("pageerror", _fail)
    if script:
        await page.add_init_script(script)
    await page.goto(url)
    return page


def _fail(error: Exception) -> None:
    """Fail on an error that nobody caught in a page."""
    pytest.fail(f"error in the page: {error}")


async def picture_of(page: Page) -> dict[str, Any]:
    """Wait for a remote picture that was drawn and return its participant's figures."""
    await page.wait_for_function("() => splatcall.stats().participants.some(({ fps }) => fps > 0)", timeout=30_000)
    participants: list[dict[str, Any]] = (await page.evaluate("() => splatcall.stats()"))["participants"]
    return next(person for person in participants if person["fps"] > 0)


async def test_splats_come_whatever_the_browser_lacks(server_url: str, clip: RgbArray, tmp_path: Path) -> None:
    camera = tmp_path / "camera.y4m"
    write_y4m(camera, clip)
    async with chromium(f"--use-file-for-fake-video-capture={camera}") as browser:
        publisher = await open_page(browser, f"{server_url}/?room=ways&name=Ann&autojoin=1", KEEP_SOCKETS)
        for script, transport in (
            (NO_SCRIPT_TRANSFORM, "data"),
            (DEAF_SCRIPT_TRANSFORM, "data"),
            (NO_OFFSCREEN_CANVAS, "rtp"),
        ):
            page = await open_page(browser, f"{server_url}/?room=ways&name=Bob&autojoin=1&receiveonly=1", script)
            person = await picture_of(page)
            assert person["transport"] == transport, script
            snapshot = await page.evaluate("id => splatcall.snapshot(id)", person["id"])
            assert snapshot.startswith("data:image/png;base64,")
            await page.context.close()

        watcher = await open_page(browser, f"{server_url}/?room=ways&name=Cy&autojoin=1&receiveonly=1", KEEP_SOCKETS)
        canvas = watcher.get_by_test_id("remote-canvas")
        await picture_of(watcher)
        shape = await canvas.evaluate("canvas => canvas.clientWidth / canvas.clientHeight")
        assert shape == pytest.approx(clip.shape[2] / clip.shape[1], rel=0.01)
        await publisher.get_by_test_id("button-camera").click()
        await canvas.wait_for(state="detached")
        await publisher.get_by_test_id("button-camera").click()
        await canvas.wait_for(state="attached")
        await picture_of(watcher)

        await watcher.evaluate("sockets.at(-1).close()")
        await watcher.locator("[data-notice=connection]").wait_for(state="visible")
        await watcher.locator("[data-notice=connection]").wait_for(state="detached")
        frames = (await picture_of(watcher))["frames"]
        await asyncio.sleep(1.5)
        assert (await picture_of(watcher))["frames"] > frames, "the stream goes on after a lost WebSocket"
        await publisher.get_by_test_id("button-leave").click()
        await watcher.locator(".empty").wait_for(state="visible")


async def test_missing_devices_have_plain_words(server_url: str) -> None:
    async with chromium(without=FAKE_DEVICES) as browser:
        page = await open_page(browser, f"{server_url}/?room=words")
        await page.get_by_text("No camera was found").wait_for()
    async with chromium("--deny-permission-prompts", without=FAKE_DEVICES[:1]) as browser:
        page = await open_page(browser, f"{server_url}/?room=words")
        await page.get_by_text("told not to share your camera").wait_for()
        page = await open_page(browser, f"{server_url}/?room=words&name=Ann&autojoin=1")
        await page.locator("[data-notice=camera]").get_by_text("told not to share your camera").wait_for()


async def test_missing_webgl_and_blocked_sound_have_plain_words(server_url: str) -> None:
    flags = ("--disable-gpu", "--disable-software-rasterizer", "--disable-webgl", "--disable-webgl2")
    async with chromium(*flags, without=(CLICK_FREE,)) as browser:
        await open_page(browser, f"{server_url}/?room=words&name=Ann&autojoin=1")
        context = await browser.new_context()
        page = await context.new_page()
        # Asking a page anything counts as a click in it, after which sound may play: so wait for what it says itself.
        async with page.expect_console_message(lambda message: "no WebGL2" in message.text):
            await page.goto(f"{server_url}/?room=words&name=Bob&autojoin=1&receiveonly=1")
        await asyncio.sleep(1)
        await page.locator("[data-notice=webgl]").get_by_text("WebGL2").wait_for()
        await page.locator("[data-notice=sound]").get_by_role("button", name="Click to hear").click()
        await page.locator("[data-notice=sound]").wait_for(state="detached")
