"""One caller in a process of its own: joins, publishes a clip, watches the others, and writes JSON lines.

Locust patches the standard library for gevent, under which aiortc does not run; so each locust user starts this module
as an unpatched process and reads its lines: `{"event": "sample", "name": ..., "value_ms": ..., "bytes": ...}` and
`{"event": "failure", "name": ..., "message": ...}`.
"""

import argparse
import asyncio
import json
import sys
import time
from fractions import Fraction
from typing import Any

import av
import httpx
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from codec.types import NUMBER_MODULUS
from loadtest.client import CallClient, CallError, wall_ms
from loadtest.receiver import StreamReceiver

__all__ = ["ClipTrack", "main"]

STATS_S = 1.0
JOIN_LIMIT_S = 20.0


class ClipTrack(MediaStreamTrack):
    """A clip that plays in a loop at its own pace, scaled to the camera's size; decoded once."""

    kind = "video"

    def __init__(self, path: str, width: int, height: int, fps: int = 30) -> None:
        super().__init__()
        with av.open(path) as container:
            decoded = (frame.reformat(width, height, format="yuv420p") for frame in container.decode(video=0))
            self._frames = [frame for frame, _ in zip(decoded, range(10 * fps), strict=False)]
        self._fps = fps
        self._number = 0
        self._began: float | None = None

    async def recv(self) -> av.VideoFrame:
        """Return the next picture when it is due; those that are late are skipped, as a camera does."""
        if self.readyState != "live":
            raise MediaStreamError
        now = time.monotonic()
        if self._began is None:
            self._began = now
        self._number = max(self._number + 1, int((now - self._began) * self._fps))
        await asyncio.sleep(max(0.0, self._began + self._number / self._fps - now))
        source = self._frames[self._number % len(self._frames)]
        frame = av.VideoFrame.from_ndarray(source.to_ndarray(), format="yuv420p")
        frame.pts, frame.time_base = self._number * 90_000 // self._fps, Fraction(1, 90_000)
        return frame


class Caller:
    """One caller and its figures."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self._client = CallClient(self._frame_came)
        self._arrived: dict[tuple[int, int, int], float] = {}  # server time, by stream, epoch, frame modulo 4096
        self._told_first = False
        self._since_ms = 0.0

    async def run(self) -> None:
        """Call until told to stop by the end of standard input."""
        arguments = self._arguments
        tasks = []
        try:
            address = arguments.host.replace("http", "ws", 1) + "/ws"
            began_ms = wall_ms()
            await self._client.join(address, arguments.room, arguments.name)
            self._sample("signalling join", wall_ms() - began_ms)
            await self._client.set_clock()
            await self._client.call(ClipTrack(arguments.clip, arguments.width, arguments.height))
            tasks = [asyncio.create_task(self._follow_stats()), asyncio.create_task(self._watch_join())]
            await asyncio.to_thread(sys.stdin.read)
        except (CallError, OSError, TimeoutError) as error:
            _write({"event": "failure", "name": "call", "message": f"{type(error).__name__}: {error}"})
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._client.close()

    def _frame_came(self, stream: int, receiver: StreamReceiver) -> None:
        """Note when a picture was exact here, in the server's time."""
        state = receiver.state
        if state is None:
            return
        if not self._told_first:
            self._told_first = True
            self._sample("join to first picture", wall_ms() - self._client.join_sent_ms)
        now_ms = wall_ms() + self._client.clock_offset_ms
        self._arrived[stream, state.epoch.epoch, state.frame_number % NUMBER_MODULUS] = now_ms
        if len(self._arrived) > 1000:
            for key in list(self._arrived)[:500]:
                del self._arrived[key]

    async def _watch_join(self) -> None:
        """Complain when nobody is seen although somebody is there."""
        await asyncio.sleep(JOIN_LIMIT_S)
        if not self._told_first and self._client.receivers:
            _write({"event": "failure", "name": "join to first picture", "message": f"none within {JOIN_LIMIT_S} s"})

    async def _follow_stats(self) -> None:
        """Read the server's own encode records; match their capture times with what arrived here."""
        async with httpx.AsyncClient(base_url=self._arguments.host) as http:
            while True:
                await asyncio.sleep(STATS_S)
                url = f"/api/rooms/{self._arguments.room}/stats"
                answer = await http.get(url, params={"since_ms": self._since_ms})
                figures = answer.json()
                for publisher in figures["publishers"]:
                    self._take_records(publisher)
                times = [f["published_ms"] for p in figures["publishers"] for f in p["frames"]]
                self._since_ms = max([self._since_ms, *times])

    def _take_records(self, publisher: dict[str, Any]) -> None:
        """Report a publisher's frames: encode latency of one's own, end-to-end delay of the others'."""
        for record in publisher["frames"]:
            if publisher["id"] == self._client.id:
                self._sample(f"encode {record['kind']}-frame", record["encode_ms"], record["bytes"])
                continue
            frame = publisher["stream"], record["epoch"], record["number"] % NUMBER_MODULUS
            arrived_ms = self._arrived.pop(frame, None)
            if arrived_ms is not None:
                self._sample("end-to-end delay", arrived_ms - record["capture_ms"], record["bytes"])

    def _sample(self, name: str, value_ms: float, size_bytes: int = 0) -> None:
        _write({"event": "sample", "name": name, "value_ms": value_ms, "bytes": size_bytes})


def _write(line: dict[str, Any]) -> None:
    """Write one JSON line."""
    print(json.dumps(line), flush=True)


def main() -> None:
    """Run one caller."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", required=True, help="address of the server, http or https")
    parser.add_argument("--room", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--clip", required=True, help="clip to publish as a camera")
    parser.add_argument("--width", type=int, default=320)
    parser.add_argument("--height", type=int, default=180)
    asyncio.run(Caller(parser.parse_args()).run())


if __name__ == "__main__":
    main()
