"""A room: who is in it, their stream numbers and what everybody is told. Pure: events in, messages out."""

from collections.abc import Iterator
from dataclasses import dataclass

from server.audio import AudioLinePool
from server.errors import RequestError
from server.messages import (
    AudioLines,
    ParticipantChanged,
    ParticipantInfo,
    ParticipantJoined,
    ParticipantLeft,
    ServerMessage,
)

__all__ = ["MAX_STREAMS", "Outgoing", "Participant", "Room"]

MAX_STREAMS = 256


@dataclass(frozen=True)
class Outgoing:
    """A message for one participant."""

    to: str
    message: ServerMessage


@dataclass
class Participant:
    """One person in a room; names may repeat, ids do not."""

    id: str
    name: str
    stream: int
    resume: str
    audio: bool
    video: bool
    lines: AudioLinePool

    @property
    def info(self) -> ParticipantInfo:
        """What the others are told."""
        return ParticipantInfo(id=self.id, name=self.name, stream=self.stream, audio=self.audio, video=self.video)


class Room:
    """The people of one room."""

    def __init__(self, name: str, max_participants: int, audio_lines: int) -> None:
        self.name = name
        self._max_participants = min(max_participants, MAX_STREAMS)
        self._audio_lines = audio_lines
        self._participants: dict[str, Participant] = {}

    def __len__(self) -> int:
        """Number of participants."""
        return len(self._participants)

    def __iter__(self) -> Iterator[Participant]:
        """All participants in the order they joined."""
        return iter(list(self._participants.values()))

    def get(self, participant_id: str) -> Participant | None:
        """Return a participant."""
        return self._participants.get(participant_id)

    def find_resume(self, key: str | None) -> Participant | None:
        """Return the participant whose resume key this is."""
        return next((person for person in self._participants.values() if key and person.resume == key), None)

    def others(self, participant_id: str) -> tuple[ParticipantInfo, ...]:
        """Return everybody else as they are told about."""
        return tuple(person.info for person in self._participants.values() if person.id != participant_id)

    def join(
        self, participant_id: str, resume: str, name: str, *, audio: bool, video: bool
    ) -> tuple[Participant, list[Outgoing]]:
        """Let somebody in; raises RequestError with code `room-full`."""
        if len(self._participants) >= self._max_participants:
            limit = self._max_participants
            raise RequestError(
                "room-full", "the room is full", expected=f"at most {limit} participants", got=str(limit)
            )
        used = {person.stream for person in self._participants.values()}
        stream = next(number for number in range(MAX_STREAMS) if number not in used)
        lines = AudioLinePool(self._audio_lines)
        person = Participant(participant_id, name, stream, resume, audio, video, lines)
        self._participants[participant_id] = person
        told = self._tell_others(participant_id, ParticipantJoined(participant=person.info))
        return person, told + self._assign_lines()

    def leave(self, participant_id: str) -> list[Outgoing]:
        """Let somebody out and free their stream number and lines."""
        if self._participants.pop(participant_id, None) is None:
            return []
        return self._tell_others(participant_id, ParticipantLeft(id=participant_id)) + self._assign_lines()

    def set_media(self, participant_id: str, *, audio: bool, video: bool) -> list[Outgoing]:
        """Note what somebody sends now."""
        person = self._participants[participant_id]
        if (person.audio, person.video) == (audio, video):
            return []
        person.audio, person.video = audio, video
        return self._tell_others(participant_id, ParticipantChanged(participant=person.info)) + self._assign_lines()

    def lines_message(self, participant_id: str) -> Outgoing:
        """Return who speaks on the lines of a participant."""
        return Outgoing(participant_id, AudioLines(lines=self._participants[participant_id].lines.lines))

    def _tell_others(self, participant_id: str, message: ServerMessage) -> list[Outgoing]:
        """Return a message for everybody else."""
        return [Outgoing(other, message) for other in self._participants if other != participant_id]

    def _assign_lines(self) -> list[Outgoing]:
        """Give every listener's lines to the others who speak; a muted speaker keeps no line."""
        outgoing = []
        for person in self._participants.values():
            speakers = [other.id for other in self._participants.values() if other.audio and other.id != person.id]
            if person.lines.assign(speakers):
                outgoing.append(self.lines_message(person.id))
        return outgoing
