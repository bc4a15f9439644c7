"""Join tokens: JWT signed with the server's secret (HS256, RFC 7519), needed only where a secret is set."""

import jwt

from server.errors import RequestError

__all__ = ["check_token"]


def check_token(secret: str, token: str | None, room: str) -> None:
    """Raise RequestError with code `token` unless the token allows joining the room.

    Claims: `room` (one name; missing: any room) and `exp` (required).
    """
    if not secret:
        return
    if token is None:
        raise RequestError("token", "this server needs a token", expected="a token", got="none")
    try:
        claims = jwt.decode(token, secret, algorithms=["HS256"], options={"require": ["exp"]})
    except jwt.InvalidTokenError as error:
        raise RequestError("token", f"the token was refused: {error}") from None
    granted = claims.get("room", room)
    if granted != room:
        raise RequestError("token", "the token is for another room", expected=ascii(granted)[:80], got=room)
