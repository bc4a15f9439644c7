"""Join tokens."""

import time

import jwt
import pytest

from server.auth import check_token
from server.errors import RequestError

SECRET = "a secret of at least thirty-two characters"


def make(secret: str = SECRET, **claims: object) -> str:
    return jwt.encode({"exp": time.time() + 60, **claims}, secret, "HS256")


def test_without_a_secret_nobody_is_asked() -> None:
    check_token("", None, "room")


def test_tokens_for_the_room_or_for_any_room_are_accepted() -> None:
    check_token(SECRET, make(room="room"), "room")
    check_token(SECRET, make(), "room")


@pytest.mark.parametrize(
    "token",
    [
        None,
        "",
        "nonsense",
        make(room="other"),
        make(exp=1),
        make("another secret of at least thirty-two chars"),
        jwt.encode({"room": "room"}, SECRET, "HS256"),
        jwt.encode({"exp": time.time() + 60}, "", "none"),
    ],
)
def test_all_else_is_refused(token: str | None) -> None:
    with pytest.raises(RequestError) as refused:
        check_token(SECRET, token, "room")
    assert refused.value.code == "token"
