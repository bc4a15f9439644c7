"""Signalling messages: accepted, or refused with what was expected and what came."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import RequestError
from server.messages import (
    MAX_MESSAGE_BYTES,
    Clock,
    ErrorMessage,
    Join,
    Joined,
    Offer,
    ParticipantInfo,
    parse_client_message,
    serialize,
)

JOIN = {
    "type": "join",
    "protocol": 1,
    "room": "demo",
    "name": " Zoë ",
    "transport": "auto",
    "audio": True,
    "video": True,
}


def test_join_is_parsed_and_its_name_trimmed() -> None:
    message = parse_client_message(json.dumps(JOIN))
    assert message == Join(protocol=1, room="demo", name="Zoë", transport="auto", audio=True, video=True)


def test_unknown_keys_are_skipped() -> None:
    assert parse_client_message('{"type":"clock","t0":1.5,"later":[1]}') == Clock(t0=1.5)


@pytest.mark.parametrize(
    "change",
    [
        {"room": "no/slash"},
        {"room": "x" * 65},
        {"room": ""},
        {"name": "   "},
        {"name": "n" * 65},
        {"audio": 1},
        {"transport": "carrier pigeon"},
        {"token": "t" * 5000},
        {"protocol": "1"},
    ],
)
def test_bad_fields_are_refused_with_what_was_expected_and_what_came(change: dict[str, object]) -> None:
    with pytest.raises(RequestError) as refused:
        parse_client_message(json.dumps(JOIN | change))
    assert refused.value.code == "malformed"
    assert refused.value.expected
    assert refused.value.got
    assert len(refused.value.got) < 200


def test_another_protocol_version_has_its_own_code() -> None:
    with pytest.raises(RequestError, match="protocol") as refused:
        parse_client_message(json.dumps(JOIN | {"protocol": 2}))
    assert (refused.value.code, refused.value.expected, refused.value.got) == ("protocol", "1", "2")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{",
        '{"type":"nothing"}',
        '{"type":"offer"}',
        '{"type":"clock","t0":NaN}',
        "[" * 5000,
        "\ud800",
    ],
)
def test_malformed_texts_are_refused(text: str) -> None:
    with pytest.raises(RequestError):
        parse_client_message(text)


def test_huge_and_binary_messages_are_refused() -> None:
    with pytest.raises(RequestError) as refused:
        parse_client_message(json.dumps({"type": "offer", "sdp": "v" * MAX_MESSAGE_BYTES}))
    assert refused.value.code == "too-large"
    with pytest.raises(RequestError) as refused:
        parse_client_message("é" * (MAX_MESSAGE_BYTES // 2 + 1))
    assert refused.value.code == "too-large"
    with pytest.raises(RequestError):
        parse_client_message(b"{}")


@given(st.text(max_size=300))
def test_any_text_is_accepted_or_refused(text: str) -> None:
    with contextlib.suppress(RequestError):
        parse_client_message(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.sampled_from(["join", "offer", "clock", "media", "transport", "leave"]),
    st.dictionaries(
        st.sampled_from(["protocol", "room", "name", "sdp", "t0", "audio", "video", "use", "resume"]), json_values
    ),
)
def test_any_fields_are_accepted_or_refused(kind: str, fields: dict[str, object]) -> None:
    with contextlib.suppress(RequestError):
        parse_client_message(json.dumps(fields | {"type": kind}))


def test_messages_to_clients_have_the_agreed_form() -> None:
    info = ParticipantInfo(id="a", name="n", stream=3, audio=True, video=False)
    joined = Joined(id="b", room="r", resume="k", audio_lines=8, transport="rtp", participants=(info,))
    assert json.loads(serialize(joined)) == {
        "type": "joined",
        "protocol": 1,
        "id": "b",
        "room": "r",
        "resume": "k",
        "audio_lines": 8,
        "transport": "rtp",
        "participants": [{"id": "a", "name": "n", "stream": 3, "audio": True, "video": False}],
    }
    assert json.loads(serialize(ErrorMessage(code="c", message="m"))) == {"type": "error", "code": "c", "message": "m"}
    assert isinstance(parse_client_message('{"type":"offer","sdp":"v=0"}'), Offer)
