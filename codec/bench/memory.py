"""Peak memory of an encoder in a process of its own: `python -m codec.bench.memory CLIP WIDTH HEIGHT FRAMES`."""

import subprocess
import sys
from pathlib import Path

from codec.config import EncoderConfig
from codec.encoder import Encoder
from codec.errors import CodecError
from codec.media import open_clip

__all__ = ["measure_peak_mb"]


def measure_peak_mb(clip: Path, width: int, height: int, frames: int) -> float:
    """Return the peak resident memory of a live encoder, in MB; pictures come one at a time, as in a call.

    Raises CodecError when the process fails.
    """
    command = [sys.executable, "-m", __name__, str(clip), str(width), str(height), str(frames)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CodecError(f"the process that measures memory failed: {done.stderr.strip()[-500:]}")
    return float(done.stdout.split()[-1])


def _encode(clip: Path, width: int, height: int, frames: int) -> None:
    encoder = Encoder(EncoderConfig(width, height, effort="live"))
    with open_clip(clip, (width, height), frames) as pictures:
        for picture in pictures:
            encoder.encode(picture)
    encoder.close()


def _peak_mb() -> float:
    """Return this program's peak resident memory in MB.

    Not by getrusage: its figure outlives exec, so it would be that of the process which started this one.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak_kib = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(peak_kib) * 1024 / 1e6


if __name__ == "__main__":
    _encode(Path(sys.argv[1]), *(int(value) for value in sys.argv[2:5]))
    print(_peak_mb())
