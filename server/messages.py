"""Signalling messages: JSON text over the WebSocket, typed, validated and limited in size (protocol 1)."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from server.errors import RequestError

__all__ = [
    "MAX_MESSAGE_BYTES",
    "PROTOCOL",
    "Answer",
    "AudioLines",
    "ClientMessage",
    "Clock",
    "ClockReply",
    "ErrorMessage",
    "Join",
    "Joined",
    "Leave",
    "Media",
    "Offer",
    "ParticipantChanged",
    "ParticipantInfo",
    "ParticipantJoined",
    "ParticipantLeft",
    "ServerMessage",
    "Transport",
    "TransportKind",
    "UseTransport",
    "parse_client_message",
    "serialize",
]

PROTOCOL = 1
MAX_MESSAGE_BYTES = 64 * 1024
MAX_GOT_CHARACTERS = 120  # of a client's own input that an error repeats

Transport = Literal["auto", "rtp", "data"]
TransportKind = Literal["rtp", "data"]
RoomName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
PersonName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]


class Message(BaseModel):
    """Base of all messages: immutable, unknown keys skipped, no conversion between types."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False)


class Join(Message):
    """First message of a client."""

    type: Literal["join"] = "join"
    protocol: int
    room: RoomName
    name: PersonName
    token: Annotated[str, StringConstraints(max_length=4096)] | None = None
    resume: Annotated[str, StringConstraints(max_length=128)] | None = None
    transport: Transport = "auto"
    audio: bool = True
    video: bool = True


class Offer(Message):
    """A session description with every candidate in it."""

    type: Literal["offer"] = "offer"
    sdp: Annotated[str, StringConstraints(min_length=1, max_length=MAX_MESSAGE_BYTES)]


class Clock(Message):
    """A clock ping, answered at once."""

    type: Literal["clock"] = "clock"
    t0: float


class Media(Message):
    """What the client sends now: muted, camera off."""

    type: Literal["media"] = "media"
    audio: bool
    video: bool


class UseTransport(Message):
    """Nothing came over RTP: splats shall come over the data channel."""

    type: Literal["transport"] = "transport"
    use: Literal["data"]


class Leave(Message):
    """Last message of a client."""

    type: Literal["leave"] = "leave"


class ParticipantInfo(Message):
    """One participant as the others see them."""

    id: str
    name: str
    stream: int
    audio: bool
    video: bool


class Joined(Message):
    """Answer to `Join`."""

    type: Literal["joined"] = "joined"
    protocol: int = PROTOCOL
    id: str
    room: str
    resume: str
    audio_lines: int
    transport: TransportKind
    participants: tuple[ParticipantInfo, ...]


class Answer(Message):
    """Answer to `Offer`."""

    type: Literal["answer"] = "answer"
    sdp: str


class ClockReply(Message):
    """Answer to `Clock`: its t0 and the server's own milliseconds."""

    type: Literal["clock"] = "clock"
    t0: float
    t1: float


class ParticipantJoined(Message):
    """Somebody joined the room."""

    type: Literal["participant-joined"] = "participant-joined"
    participant: ParticipantInfo


class ParticipantChanged(Message):
    """Somebody switched camera or microphone."""

    type: Literal["participant-changed"] = "participant-changed"
    participant: ParticipantInfo


class ParticipantLeft(Message):
    """Somebody left the room."""

    type: Literal["participant-left"] = "participant-left"
    id: str


class AudioLines(Message):
    """Who speaks on which audio line of this client."""

    type: Literal["audio-lines"] = "audio-lines"
    lines: tuple[str | None, ...]


class ErrorMessage(Message):
    """Something the client sent was refused."""

    type: Literal["error"] = "error"
    code: str
    message: str
    expected: str | None = None
    got: str | None = None


ClientMessage = Join | Offer | Clock | Media | UseTransport | Leave
ServerMessage = (
    Joined | Answer | ClockReply | ParticipantJoined | ParticipantChanged | ParticipantLeft | AudioLines | ErrorMessage
)

_CLIENT: TypeAdapter[ClientMessage] = TypeAdapter(Annotated[ClientMessage, Field(discriminator="type")])


def parse_client_message(data: str | bytes) -> ClientMessage:
    """Return the message in one WebSocket frame.

    Raises RequestError with code `too-large`, `protocol` or `malformed`.
    """
    if isinstance(data, bytes):
        raise RequestError(
            "malformed", "a signalling message is text", expected="text", got=f"{len(data)} bytes binary"
        )
    if len(data) > MAX_MESSAGE_BYTES or len(raw := data.encode("utf-8", "replace")) > MAX_MESSAGE_BYTES:
        size = f"at least {len(data)} bytes"
        raise RequestError("too-large", "message too large", expected=f"at most {MAX_MESSAGE_BYTES} bytes", got=size)
    try:
        message = _CLIENT.validate_json(raw)
    except ValidationError as error:
        raise _refusal(error) from None
    if isinstance(message, Join) and message.protocol != PROTOCOL:
        raise RequestError("protocol", "unknown protocol version", expected=str(PROTOCOL), got=str(message.protocol))
    return message


def serialize(message: ServerMessage) -> str:
    """Return the text of a message; keys without a value are left out of errors only."""
    return message.model_dump_json(exclude_none=isinstance(message, ErrorMessage))


def _refusal(error: ValidationError) -> RequestError:
    """Turn the first complaint of the validator into an error a client can read."""
    first = error.errors(include_url=False, include_context=False)[0]
    place = ".".join(str(step) for step in first["loc"]) or "message"
    got = ascii(first["input"])
    if len(got) > MAX_GOT_CHARACTERS:
        got = got[:MAX_GOT_CHARACTERS] + "..."
    return RequestError("malformed", f"malformed message at {place}", expected=first["msg"], got=got)
