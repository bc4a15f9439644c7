"""The error tree of the codec: misuse by us and bad input by others are different errors."""

__all__ = ["BitstreamError", "CodecError", "ConfigError", "MediaError", "StreamStateError", "WorkFileError"]


class CodecError(Exception):
    """Base of every error the codec raises on purpose."""


class BitstreamError(CodecError):
    """Bytes from outside are not what the bitstream's SPEC allows; the state was left untouched."""


class StreamStateError(CodecError):
    """A call came at a time or with commands that the stream's state does not allow (our own mistake)."""


class ConfigError(CodecError):
    """A configuration value is outside of its range or contradicts another."""


class MediaError(CodecError):
    """A clip or picture cannot be read or written."""


class WorkFileError(CodecError):
    """A file of --work is none, or is of another run."""
