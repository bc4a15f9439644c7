"""The error tree of the server: bad input by a peer and misuse by us are different errors."""

__all__ = [
    "DatagramError",
    "OfferError",
    "PeerInputError",
    "RequestError",
    "ServerError",
    "ServerStateError",
    "WorkerError",
]


class ServerError(Exception):
    """Base of every error the server raises on purpose."""


class PeerInputError(ServerError):
    """Something a client sent is not what the protocol allows; it is told what was expected and what came."""

    def __init__(self, code: str, message: str, *, expected: str | None = None, got: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.expected = expected
        self.got = got

    def __str__(self) -> str:
        """Return the message with what was expected and what came."""
        details = ", ".join(
            f"{name} {value}" for name, value in (("expected", self.expected), ("got", self.got)) if value is not None
        )
        return f"{self.message}: {details}" if details else self.message


class RequestError(PeerInputError):
    """A signalling message or request is malformed, too large or not allowed now."""


class OfferError(PeerInputError):
    """A session description cannot be answered."""


class DatagramError(PeerInputError):
    """A datagram or record is malformed."""

    def __init__(self, message: str, *, expected: str | None = None, got: str | None = None) -> None:
        super().__init__("datagram", message, expected=expected, got=got)


class ServerStateError(ServerError):
    """A call came at a time that the state of the server does not allow (our own mistake)."""


class WorkerError(ServerError):
    """An encode worker died, was replaced or could not encode the picture it was given."""
