"""WHEP: any plain WebRTC client receives a participant as an ordinary VP8 track (draft-ietf-wish-whep)."""

from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from server.auth import check_token
from server.errors import PeerInputError, RequestError
from server.hub import Hub
from server.messages import MAX_MESSAGE_BYTES

__all__ = ["register_whep"]

SDP_TYPE = "application/sdp"
STATUS = {
    "not-found": HTTPStatus.NOT_FOUND,
    "no-picture": HTTPStatus.CONFLICT,
    "busy": HTTPStatus.SERVICE_UNAVAILABLE,
    "token": HTTPStatus.UNAUTHORIZED,
    "media-type": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "too-large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "method": HTTPStatus.METHOD_NOT_ALLOWED,
}


def register_whep(app: FastAPI, hub: Hub) -> None:
    """Add the two resources of WHEP: the participant's endpoint and the viewer's session."""

    @app.post("/whep/{room}/{participant}")
    async def begin(room: str, participant: str, request: Request) -> Response:
        try:
            _check_bearer(hub, request, room)
            sdp = await _read_sdp(request)
            call = hub.get(room)
            if call is None:
                raise RequestError("not-found", "no such room", expected="a room with somebody in it", got=room[:64])
            viewer, answer = await call.add_viewer(participant, sdp)
        except PeerInputError as error:
            return _problem(error)
        location = f"/whep/{room}/{participant}/{viewer}"
        return Response(answer, HTTPStatus.CREATED, {"Location": location}, SDP_TYPE)

    @app.delete("/whep/{room}/{participant}/{viewer}")
    async def end(room: str, participant: str, viewer: str) -> Response:
        call = hub.get(room)
        if call is None or not await call.end_viewer(viewer):
            return _problem(RequestError("not-found", "no such viewer", expected="a Location from a POST"))
        return Response(status_code=HTTPStatus.OK)

    @app.api_route("/whep/{room}/{participant}", methods=["GET", "PUT", "PATCH", "DELETE"])
    @app.api_route("/whep/{room}/{participant}/{viewer}", methods=["GET", "PUT", "PATCH", "POST"])
    async def refuse(request: Request) -> Response:
        return _problem(
            RequestError("method", "method not allowed", expected="POST an offer, DELETE a viewer", got=request.method)
        )


def _check_bearer(hub: Hub, request: Request, room: str) -> None:
    """Check the token in the Authorization header where the server wants tokens."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    check_token(hub.settings.token_secret, token if scheme.lower() == "bearer" and token else None, room)


async def _read_sdp(request: Request) -> str:
    """Return the offer in the body, read no further than allowed."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != SDP_TYPE:
        raise RequestError("media-type", "an offer has another media type", expected=SDP_TYPE, got=kind[:80] or "none")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_MESSAGE_BYTES:
            raise RequestError("too-large", "offer too large", expected=f"at most {MAX_MESSAGE_BYTES} bytes")
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise RequestError("offer", "the offer is no UTF-8 text", expected="UTF-8") from None


def _problem(error: PeerInputError) -> Response:
    """Return an error as a problem document (RFC 9457)."""
    status = STATUS.get(error.code, HTTPStatus.BAD_REQUEST)
    body = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": error.message}
    body |= {key: value for key, value in (("expected", error.expected), ("got", error.got)) if value is not None}
    headers = {"Allow": "POST, DELETE"} if status is HTTPStatus.METHOD_NOT_ALLOWED else None
    return JSONResponse(body, status, headers, "application/problem+json")
