"""The call server: rooms, peers and encode workers around the splat codec."""

from codec import __version__

__all__ = ["__version__"]
