"""Settings of the server: one frozen dataclass, each field with its unit and range, also from the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields

__all__ = ["Settings", "SettingsError"]

ENVIRONMENT_PREFIX = "SPLATCALL_"


class SettingsError(ValueError):
    """A setting is outside of its range or cannot be read."""


@dataclass(frozen=True)
class Settings:
    """What a server is started with; `from_environment` reads `SPLATCALL_<NAME>`."""

    host: str = "127.0.0.1"
    port: int = 8080  # 0 .. 65535, 0: any free one
    tls_cert: str = ""  # file, with tls_key
    tls_key: str = ""
    workers: int = 0  # encode workers 0 .. 64, 0: one a core, four at most
    threads: int = 0  # threads of one encoder 0 .. 64, 0: one a core, four at most
    long_side_px: int = 640  # coded size of a picture 16 .. 4096
    max_fps: int = 30  # frames per second of a publisher 1 .. 60
    quality: float = 60.0  # of the live encoder 0 .. 100, used when bitrate_kbps is 0
    bitrate_kbps: float = 0.0  # of one publisher's stream, 0: by quality
    max_splats: int = 4000  # 1 .. 16000
    importance: bool = True
    audio_lines: int = 8  # voices heard at once 0 .. 32
    max_rooms: int = 256  # 1 .. 100000
    max_participants: int = 16  # in one room 1 .. 256
    max_viewers: int = 16  # WHEP viewers of one participant 0 .. 1000
    resume_s: float = 5.0  # how long a participant whose WebSocket broke is kept 0 .. 600
    ice_servers: tuple[str, ...] = ()  # STUN or TURN addresses, comma-separated; empty: none is asked
    token_secret: str = ""  # when set, joins need a JWT signed with it (HS256)
    allowed_origins: tuple[str, ...] = ()  # of pages that may open the WebSocket; empty: any
    whep_bitrate_kbps: int = 2000  # of the VP8 track made for plain WebRTC clients 50 .. 20000

    def __post_init__(self) -> None:
        """Check every field against its range."""
        for name, low, high in _RANGES:
            value = getattr(self, name)
            if not low <= value <= high:
                raise SettingsError(f"{name} must be {low}..{high}, got {value}")
        if bool(self.tls_cert) != bool(self.tls_key):
            raise SettingsError("tls_cert and tls_key must be given together")
        if self.token_secret and len(self.token_secret) < 32:
            raise SettingsError(f"token_secret must have 32 characters or more, has {len(self.token_secret)}")

    @property
    def worker_count(self) -> int:
        """Encode workers to start."""
        return self.workers or min(4, os.cpu_count() or 1)

    @property
    def encoder_threads(self) -> int:
        """Threads of one encoder."""
        return self.threads or min(4, os.cpu_count() or 1)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Read settings from variables such as SPLATCALL_PORT; raises SettingsError."""
        values: dict[str, object] = {}
        for field in fields(cls):
            text = environment.get(ENVIRONMENT_PREFIX + field.name.upper())
            if text is not None:
                values[field.name] = _parse(field.name, text, type(field.default))
        return cls(**values)  # type: ignore[arg-type]  # every value has just been parsed to its field's type


_RANGES: tuple[tuple[str, float, float], ...] = (
    ("port", 0, 65535),
    ("workers", 0, 64),
    ("threads", 0, 64),
    ("long_side_px", 16, 4096),
    ("max_fps", 1, 60),
    ("quality", 0, 100),
    ("bitrate_kbps", 0, 999999),
    ("max_splats", 1, 16000),
    ("audio_lines", 0, 32),
    ("max_rooms", 1, 100000),
    ("max_participants", 1, 256),
    ("max_viewers", 0, 1000),
    ("resume_s", 0, 600),
    ("whep_bitrate_kbps", 50, 20000),
)


def _parse(name: str, text: str, kind: type) -> object:
    """Turn the text of one setting into its type."""
    if kind is bool:
        if text.lower() not in ("0", "1", "false", "true", "no", "yes"):
            raise SettingsError(f"{name} must be true or false, got {text!r}")
        return text.lower() in ("1", "true", "yes")
    if kind is tuple:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    try:
        return kind(text)
    except ValueError as error:
        raise SettingsError(f"{name} must be of type {kind.__name__}, got {text!r}") from error
