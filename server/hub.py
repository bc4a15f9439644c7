"""All rooms of one server."""

from server.call import Call
from server.errors import RequestError
from server.messages import Join
from server.publisher import Publisher
from server.session import Session, Signalling
from server.settings import Settings
from server.workers.pool import WorkerPool

__all__ = ["Hub"]


class Hub:
    """Makes rooms when somebody joins them and forgets them when they are empty."""

    def __init__(self, settings: Settings, pool: WorkerPool) -> None:
        self.settings = settings
        self.pool = pool
        self._calls: dict[str, Call] = {}

    @property
    def calls(self) -> list[Call]:
        """All rooms with somebody in them."""
        return list(self._calls.values())

    @property
    def publishers(self) -> list[Publisher]:
        """All publishers of all rooms."""
        return [publisher for call in self._calls.values() for publisher in call.publishers]

    def get(self, room: str) -> Call | None:
        """Return a room."""
        return self._calls.get(room)

    def join(self, join: Join, signalling: Signalling) -> tuple[Call, Session]:
        """Let somebody into a room, made if need be; raises RequestError."""
        call = self._calls.get(join.room)
        if call is None:
            if len(self._calls) >= self.settings.max_rooms:
                limit = self.settings.max_rooms
                raise RequestError(
                    "server-full", "the server is full", expected=f"at most {limit} rooms", got=str(limit)
                )
            call = Call(join.room, self.settings, self.pool, self._count_active, self._forget)
            self._calls[join.room] = call
        return call, call.join(join, signalling)

    async def close(self) -> None:
        """Empty all rooms."""
        for call in self.calls:
            await call.close()

    def _count_active(self) -> int:
        """Publishers among whom the time budget is shared."""
        return sum(publisher.is_active for publisher in self.publishers)

    def _forget(self, call: Call) -> None:
        """Forget an empty room."""
        if self._calls.get(call.name) is call:
            del self._calls[call.name]
