"""Rooms: stream numbers, what everybody is told, and audio lines."""

import pytest

from server.errors import RequestError
from server.messages import AudioLines, ParticipantChanged, ParticipantJoined, ParticipantLeft
from server.room import Outgoing, Participant, Room


def join(
    room: Room, participant_id: str, name: str = "Ann", *, audio: bool = True
) -> tuple[Participant, list[Outgoing]]:
    return room.join(participant_id, f"key-{participant_id}", name, audio=audio, video=True)


def test_two_participants_of_one_name_are_two() -> None:
    room = Room("r", 4, 2)
    first, told = join(room, "a")
    assert told == []
    second, told = join(room, "b")
    assert (first.stream, second.stream) == (0, 1)
    assert [info.name for info in room.others("c")] == ["Ann", "Ann"]
    assert Outgoing("a", ParticipantJoined(participant=second.info)) in told


def test_stream_numbers_are_used_again_after_a_leave() -> None:
    room = Room("r", 4, 2)
    for name in "abc":
        join(room, name)
    told = room.leave("b")
    assert {message.to for message in told if isinstance(message.message, ParticipantLeft)} == {"a", "c"}
    assert join(room, "d")[0].stream == 1
    assert room.leave("nobody") == []


def test_a_full_room_says_so() -> None:
    room = Room("r", 2, 2)
    join(room, "a")
    join(room, "b")
    with pytest.raises(RequestError, match="full"):
        join(room, "c")
    assert len(room) == 2


def test_lines_go_to_the_others_who_speak_and_are_passed_on() -> None:
    room = Room("r", 8, 1)
    join(room, "a")
    join(room, "b", audio=False)
    _, told = join(room, "c")
    assert Outgoing("a", AudioLines(lines=("c",))) in told
    listener = room.get("b")
    assert listener is not None
    assert listener.lines.lines == ("a",)
    told = room.set_media("a", audio=False, video=True)
    assert Outgoing("b", AudioLines(lines=("c",))) in told
    assert any(isinstance(message.message, ParticipantChanged) for message in told)
    assert room.set_media("a", audio=False, video=True) == []


def test_resume_keys_find_their_participant_only() -> None:
    room = Room("r", 4, 2)
    person, _ = join(room, "a")
    assert room.find_resume(person.resume) is person
    assert room.find_resume("wrong") is None
    assert room.find_resume(None) is None
    assert [someone.id for someone in room] == ["a"]
