"""Peak memory of an encoder in a process of its own: `python -m codec.bench.memory CLIP WIDTH HEIGHT FRAMES`."""

import resource
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


if __name__ == "__main__":
    _encode(Path(sys.argv[1]), *(int(value) for value in sys.argv[2:5]))
    # Linux counts in KiB
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6)
