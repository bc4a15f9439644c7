"""The page's WebGL2 renderer in a real browser, held to its slow twin and to the vectors' states."""

import functools
import http.server
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import async_playwright

pytestmark = [pytest.mark.browser]

ROOT = Path(__file__).parents[2]
MAX_ERROR, RMS_ERROR = 4.0, 0.75  # in RGB bytes: SPEC's 1.5 and 0.5 in YCbCr, times 1.772, and rounding

COMPARE = """async ({vector, half}) => {
  if (half) {
    const get = WebGL2RenderingContext.prototype.getExtension;
    WebGL2RenderingContext.prototype.getExtension = function (name) {
      return name === 'EXT_float_blend' ? null : get.call(this, name);
    };
  }
  const { parseEpoch } = await import('/client_web/src/codec/epoch.js');
  const { emptyState } = await import('/client_web/src/codec/state.js');
  const { PictureRenderer } = await import('/client_web/src/render/renderer.js');
  const { renderReference, toRgba } = await import('/client_web/src/render/reference.js');
  const folder = `/tests/vectors/${vector}/`;
  const bytes = await (await fetch(folder + 'epoch.msgpack')).arrayBuffer();
  const { steps } = await (await fetch(folder + 'expected.json')).json();
  const state = emptyState(parseEpoch(new Uint8Array(bytes)));
  state.splats.set(steps.at(-1).splats);
  state.base.set(steps.at(-1).base);
  const expected = toRgba(renderReference(state).ycc);
  const compare = ({ rgba }) => {
    let worst = 0, squares = 0;
    rgba.forEach((value, i) => {
      const error = Math.abs(value - expected[i]);
      worst = Math.max(worst, error);
      squares += error * error;
    });
    return { worst, rms: Math.sqrt(squares / rgba.length * 4 / 3) };
  };
  const renderer = new PictureRenderer(document.createElement('canvas'));
  const first = compare(await renderer.read(state));
  const restored = new Promise((resolve) => { renderer.onrestored = resolve; });
  const loss = renderer.gl.getExtension('WEBGL_lose_context');
  loss.loseContext();
  await new Promise((resolve) => setTimeout(resolve, 50));
  loss.restoreContext();
  await restored;
  const second = compare(await renderer.read(state));
  const halfUsed = renderer.device.sumsFormat === renderer.gl.RGBA16F;
  return { first, second, half: halfUsed, error: renderer.gl.getError() };
}"""

PLACEHOLDER_TRACK = """async () => {
  const canvas = document.createElement('canvas');
  const worker = new Worker(URL.createObjectURL(new Blob([`onmessage = ({data}) => {
    const gl = data.getContext('webgl2');
    const draw = () => {
      gl.clearColor(Math.random(), 0, 0, 1);
      gl.clear(gl.COLOR_BUFFER_BIT);
      requestAnimationFrame(draw);
    };
    draw();
  }`])));
  const offscreen = canvas.transferControlToOffscreen();
  worker.postMessage(offscreen, [offscreen]);
  document.body.append(canvas);
  const [track] = canvas.captureStream().getVideoTracks();
  const video = document.createElement('video');
  video.muted = true;
  video.srcObject = new MediaStream([track]);
  await video.play();
  return { kind: track.kind, width: video.videoWidth };
}"""


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves the repository without a word."""

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def files_url() -> Iterator[str]:
    """Serve the repository's files on a free port."""
    handler = functools.partial(_QuietHandler, directory=str(ROOT))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


async def evaluate(url: str, script: str, argument: object = None) -> Any:
    """Run a script in an empty page of headless Chromium."""
    executable = shutil.which("chromium")
    assert executable, "no chromium on PATH; `make setup-test` installs one"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        page = await browser.new_page()
        await page.goto(f"{url}/client_web/package.json")
        result = await page.evaluate(script, argument)
        await browser.close()
        return result


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("vector", ["key_whole", "p_commands"])
async def test_webgl_draws_what_the_reference_draws(files_url: str, vector: str, half: bool) -> None:
    result = await evaluate(files_url, COMPARE, {"vector": vector, "half": half})
    assert result["half"] == half
    assert result["error"] == 0
    for drawn in (result["first"], result["second"]):
        assert drawn["worst"] <= MAX_ERROR, result
        assert drawn["rms"] <= RMS_ERROR, result


async def test_a_canvas_drawn_by_a_worker_is_a_video_track(files_url: str) -> None:
    result = await evaluate(files_url, PLACEHOLDER_TRACK)
    assert result["kind"] == "video"
    assert result["width"] > 0
