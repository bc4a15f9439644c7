"""The command `decode` in tests."""

from pathlib import Path

from codec.cli import main
from codec.media import RgbPicture, open_clip

__all__ = ["decoded"]


def decoded(folder: Path, tmp_path: Path, *options: str) -> list[RgbPicture]:
    """Return the pictures that `decode` makes of a folder's clip.splatv."""
    output = tmp_path / "decoded.y4m"
    assert main(["decode", str(folder / "clip.splatv"), str(output), *options]) == 0
    with open_clip(output) as clip:
        return list(clip)
