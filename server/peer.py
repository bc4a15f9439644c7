"""WebRTC connections: the only importer of aiortc, and the place of all that aiortc 1.16 has no interface for.

What is reached into, and why (webrtc-findings has the measurements):
- receivers' jitter buffers are replaced: for video by one that releases on the marker bit, asks for losses on a timer
  and gives up after 300 ms; for audio by one that hands Opus packets on without decoding;
- a sender whose track yields packets is told of key frame requests through `_send_keyframe`;
- codecs of a transceiver are narrowed after the offer was taken, and given format parameters for the answer.
"""

import asyncio
import logging
import struct
from collections import OrderedDict, deque
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Protocol, TypeAlias, cast

from aiortc import MediaStreamTrack, RTCConfiguration, RTCIceServer, RTCPeerConnection, RTCSessionDescription
from aiortc.exceptions import InternalError, InvalidAccessError, InvalidStateError, OperationError
from aiortc.jitterbuffer import JitterFrame
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcconfiguration import RTCBundlePolicy
from aiortc.rtcdatachannel import RTCDataChannel
from aiortc.rtcrtpreceiver import RTCRtpReceiver
from aiortc.rtcrtptransceiver import RTCRtpTransceiver
from aiortc.rtp import AnyRtcpPacket, RtcpSrPacket, RtpPacket
from aiortc.sdp import MediaDescription, SessionDescription
from av import Packet, VideoFrame

from server.capture_clock import CaptureClock
from server.clock import now_ms
from server.errors import OfferError
from server.messages import TransportKind
from server.uplink import UplinkBuffer, UplinkPacket

__all__ = ["AudioPacketTrack", "Peer", "PeerEvents", "VideoPacketTrack", "ViewerPeer", "session_id"]

logger = logging.getLogger(__name__)

CHANNEL_LABEL = "splat"
START_BITRATE_KBPS = 1500  # Chromium's first guess for its camera; no minimum, that would pin the uplink
OPUS_PARAMETERS = {"minptime": 10, "useinbandfec": 1, "usedtx": 1, "maxaveragebitrate": 32000}
MAX_MEDIA_LINES = 64
DIGESTS = frozenset({"sha-256", "sha-384", "sha-512"})  # of certificates, that aiortc checks
FEEDBACK_S = 0.02
NTP_EPOCH_S = 2208988800  # 1970 in NTP's seconds
VIDEO_TIME_BASE = Fraction(1, 90_000)
AUDIO_TIME_BASE = Fraction(1, 48_000)
MAX_DECODE_QUEUE = 60  # encoded frames that wait for aiortc's decoder thread; beyond: on from the next key frame
PacketOfAny: TypeAlias = "Packet[Any]"  # generic in the stubs only
AIORTC_ERRORS = (InternalError, InvalidAccessError, InvalidStateError, OperationError, ValueError)


class PeerEvents(Protocol):
    """What happens on a connection, told on the event loop."""

    def peer_ready(self) -> None:
        """Splats can be sent now."""
        ...

    def picture_came(self, picture: VideoFrame, capture_ms: float) -> None:
        """The camera sent a picture."""
        ...

    def audio_came(self, payload: bytes, timestamp: int) -> None:
        """The microphone sent an Opus packet."""
        ...

    def datagram_came(self, data: bytes | str) -> None:
        """A message came over the data channel."""
        ...

    def peer_gone(self) -> None:
        """The connection failed or was closed by the other side."""
        ...


class _PacketTrack(MediaStreamTrack):
    """A track that hands packets to its sender; at most `limit` wait, then the oldest are dropped."""

    def __init__(self, kind: str, limit: int) -> None:
        super().__init__()
        self.kind = kind
        self._held: deque[PacketOfAny] = deque(maxlen=limit)
        self._arrived = asyncio.Event()

    @property
    def waiting_bytes(self) -> int:
        """Bytes of all packets that wait."""
        return sum(packet.size for packet in self._held)

    def push(self, packet: PacketOfAny) -> None:
        """Queue a packet."""
        self._held.append(packet)
        self._arrived.set()

    async def recv(self) -> PacketOfAny:
        """Return the next packet, for the sender."""
        while not self._held:
            if self.readyState != "live":
                raise MediaStreamError
            self._arrived.clear()
            await self._arrived.wait()
        return self._held.popleft()

    def stop(self) -> None:
        """End the track and wake its sender."""
        super().stop()
        self._arrived.set()


class _DatagramTrack(_PacketTrack):
    """Datagrams in the disguise of VP8 key frames, one RTP frame each.

    `Subscriber` reads `waiting_bytes` and holds back long before the limit drops anything.
    """

    def __init__(self) -> None:
        super().__init__("video", limit=256)
        self._last = 0

    def push_datagram(self, data: bytes) -> None:
        """Queue one datagram with a timestamp of its own."""
        tag = 1 << 4 | min(len(data), 1000) << 5  # key frame, shown, size of the first partition (RFC 6386 9.1)
        header = struct.pack("<I", tag)[:3] + b"\x9d\x01\x2a" + struct.pack("<HH", 16, 16)
        packet = Packet(header + data)
        self._last = max(self._last + 1, int(now_ms() * 90))
        packet.pts, packet.time_base = self._last, VIDEO_TIME_BASE
        self.push(packet)


class AudioPacketTrack(_PacketTrack):
    """Opus packets forwarded on one audio line; a second of them waits at most."""

    def __init__(self) -> None:
        super().__init__("audio", limit=50)

    def push_opus(self, payload: bytes, timestamp: int) -> None:
        """Queue one packet."""
        packet = Packet(payload)
        packet.pts, packet.time_base = timestamp, AUDIO_TIME_BASE
        self.push(packet)


class VideoPacketTrack(_PacketTrack):
    """VP8 packets encoded elsewhere, the same for every viewer; two seconds of them wait at most."""

    def __init__(self) -> None:
        super().__init__("video", limit=60)


class _SilentNacks:
    """Takes the place of aiortc's NACK generator: `UplinkBuffer` asks instead."""

    missing: frozenset[int] = frozenset()

    def add(self, packet: RtpPacket) -> bool:
        """Never ask."""
        return False


class _OpusTap:
    """Takes the place of an audio receiver's jitter buffer: packets go on, nothing is decoded."""

    def __init__(self, events: PeerEvents) -> None:
        self._events = events

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        """Hand a packet on."""
        if packet.payload:
            self._events.audio_came(packet.payload, packet.timestamp)
        return False, None


class _CameraLine:
    """Receives the camera: `UplinkBuffer` in place of aiortc's jitter buffer, pictures out with their capture time."""

    MAX_ARRIVALS = 128

    def __init__(self, receiver: RTCRtpReceiver, events: PeerEvents) -> None:
        self._receiver = cast(Any, receiver)  # private names are reached into below
        self._events = events
        self._buffer = UplinkBuffer()
        self._clock = CaptureClock()
        self._ssrc: int | None = None
        self._arrivals: OrderedDict[int, float] = OrderedDict()  # by unwrapped timestamp, the oldest go first
        self._receiver._RTCRtpReceiver__jitter_buffer = self
        self._receiver._RTCRtpReceiver__nack_generator = _SilentNacks()
        self._handle_rtcp = receiver._handle_rtcp_packet
        self._receiver._handle_rtcp_packet = self._rtcp_came
        self._tasks = [asyncio.create_task(self._read_pictures()), asyncio.create_task(self._give_feedback())]

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        """Take one packet in the way aiortc's jitter buffer does, but queue whole frames for decoding here."""
        self._ssrc = packet.ssrc
        first = packet.payload[0] if packet.payload else 0
        start = bool(first & 0x10) and not first & 0x07  # start of partition 0 (RFC 7741 section 4.2)
        data: bytes = packet._data  # type: ignore[attr-defined]  # set by aiortc's depacketiser
        came = UplinkPacket(packet.sequence_number, packet.timestamp, bool(packet.marker), start, data)
        codec = self._receiver._RTCRtpReceiver__codecs[packet.payload_type]
        queue = self._receiver._RTCRtpReceiver__decoder_queue
        for frame in self._buffer.push(came, now_ms()):
            if queue.qsize() > MAX_DECODE_QUEUE:
                self._buffer.ask_key()
                break
            self._arrivals[frame.timestamp] = frame.arrival_ms
            while len(self._arrivals) > self.MAX_ARRIVALS:
                self._arrivals.popitem(last=False)
            queue.put((codec, JitterFrame(frame.data, frame.timestamp)))
        return False, None

    async def close(self) -> None:
        """End the tasks."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _rtcp_came(self, packet: AnyRtcpPacket) -> None:
        """Read sender reports on their way to aiortc."""
        if isinstance(packet, RtcpSrPacket):
            info = packet.sender_info
            wall_ms = (info.ntp_timestamp / 2**32 - NTP_EPOCH_S) * 1000
            self._clock.push_sender_report(wall_ms, info.rtp_timestamp, now_ms())
        await self._handle_rtcp(packet)

    async def _read_pictures(self) -> None:
        """Read decoded pictures as they come; aiortc's queue is unbounded, so nothing may wait here."""
        try:
            while True:
                picture = await self._receiver.track.recv()
                timestamp = picture.pts
                arrival_ms = self._arrivals.pop(timestamp, now_ms())
                capture_ms = self._clock.capture_ms(timestamp % 2**32, arrival_ms)
                self._events.picture_came(picture, capture_ms)
        except MediaStreamError:
            logger.debug("camera line ended")

    async def _give_feedback(self) -> None:
        """Ask for lost packets and key frames on a timer."""
        while True:
            await asyncio.sleep(FEEDBACK_S)
            feedback = self._buffer.poll(now_ms())
            if self._ssrc is None:
                continue
            if feedback.nack:
                await self._receiver._send_rtcp_nack(self._ssrc, sorted(feedback.nack))
            if feedback.pli:
                await self._receiver._send_rtcp_pli(self._ssrc)


class _Connection:
    """What `Peer` and `ViewerPeer` share: one aiortc connection that answers offers."""

    def __init__(self, ice_servers: tuple[str, ...], name: str) -> None:
        self.name = name
        servers = [RTCIceServer(urls=address) for address in ice_servers]
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=servers, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self._closed = False

    async def take_offer(self, sdp: str) -> list[tuple[MediaDescription, RTCRtpTransceiver]]:
        """Set the remote description and return its audio and video lines; raises OfferError."""
        try:
            description = SessionDescription.parse(sdp)
        except Exception as error:  # the parser's errors on bad input are not documented
            raise OfferError("offer", "the offer is no session description", got=type(error).__name__) from None
        media = description.media
        if not 1 <= len(media) <= MAX_MEDIA_LINES:
            expected = f"1..{MAX_MEDIA_LINES} media lines"
            raise OfferError("offer", "unusable offer", expected=expected, got=str(len(media)))
        for line in media:
            if line.dtls is None or not line.dtls.fingerprints or line.ice is None:
                raise OfferError("offer", "media line without ICE or DTLS parameters", got=f"m={line.kind}")
            digests = [fingerprint.algorithm for fingerprint in line.dtls.fingerprints]
            if not DIGESTS.intersection(name.lower() for name in digests):
                expected, got = " or ".join(sorted(DIGESTS)), ", ".join(digests)[:120]
                raise OfferError("offer", "media line without a fingerprint of use", expected=expected, got=got)
            if line.kind == "video" and not any(codec.mimeType.lower() == "video/vp8" for codec in line.rtp.codecs):
                names = ", ".join(codec.mimeType for codec in line.rtp.codecs)[:120]
                raise OfferError("offer", "video line without VP8", expected="video/VP8", got=names or "no codec")
        try:
            await self.pc.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        except AIORTC_ERRORS as error:
            raise OfferError("offer", f"the offer was refused: {error}") from None
        transceivers: dict[int | None, RTCRtpTransceiver] = {
            transceiver._get_mline_index(): transceiver for transceiver in self.pc.getTransceivers()
        }
        return [(line, transceivers[index]) for index, line in enumerate(media) if index in transceivers]

    async def make_answer(self) -> str:
        """Return the answer with every candidate in it."""
        try:
            await self.pc.setLocalDescription(await self.pc.createAnswer())
        except AIORTC_ERRORS as error:
            raise OfferError("offer", f"the offer cannot be answered: {error}") from None
        return self.pc.localDescription.sdp

    async def close(self) -> None:
        """Close the connection and all its tracks."""
        self._closed = True
        await self.pc.close()


class Peer(_Connection):
    """A participant's connection: camera and microphone in, splats and other voices out."""

    def __init__(self, events: PeerEvents, transport: TransportKind, ice_servers: tuple[str, ...], name: str) -> None:
        super().__init__(ice_servers, name)
        self._events = events
        self._transport = transport
        self._splats: _DatagramTrack | None = None
        self._channel: RTCDataChannel | None = None
        self._lines: OrderedDict[str, AudioPacketTrack] = OrderedDict()  # by media id, in the offer's order
        self._camera: _CameraLine | None = None
        self._tapped: set[str] = set()
        self._ready = False
        self.key_requests = 0  # for the splat line, which has no key frames to give: counted and ignored
        self.pc.on("datachannel", self._channel_opened)
        self.pc.on("connectionstatechange", self._state_changed)

    @property
    def transport(self) -> TransportKind:
        """Which way splats go: RTP where the offer has a line for it and nobody asked for the data channel."""
        return "rtp" if self._transport == "rtp" and self._splats is not None else "data"

    @property
    def is_dead(self) -> bool:
        """Tell whether only a new connection can help."""
        return self._closed or self.pc.connectionState in ("failed", "closed")

    @property
    def queued_bytes(self) -> int:
        """Bytes of datagrams that have not left yet."""
        if self.transport == "rtp":
            return self._splats.waiting_bytes if self._splats is not None else 0
        return self._channel.bufferedAmount if self._channel is not None else 0

    def use_data_channel(self) -> None:
        """Send splats over the data channel from now on."""
        self._transport = "data"
        self._check_ready()

    async def answer(self, sdp: str) -> str:
        """Answer an offer, the first or a later one; raises OfferError."""
        for line, transceiver in await self.take_offer(sdp):
            mid = str(line.rtp.muxId)
            if line.kind == "video":
                _keep_vp8(transceiver)
            if line.kind == "audio" and line.direction == "recvonly":
                self._add_audio_line(mid, transceiver)
            elif line.kind == "audio":
                _set_parameters(transceiver, "audio/opus", OPUS_PARAMETERS)
                self._tap_audio(mid, transceiver)
            elif line.direction == "recvonly":
                self._add_splat_line(transceiver)
            else:
                _set_parameters(transceiver, "video/vp8", {"x-google-start-bitrate": START_BITRATE_KBPS})
                self._tap_camera(transceiver)
        return await self.make_answer()

    def send(self, datagram: bytes) -> None:
        """Send one datagram; what a closed channel cannot take is lost, as on a network."""
        if self.transport == "rtp" and self._splats is not None:
            self._splats.push_datagram(datagram)
        elif self._channel is not None and self._channel.readyState == "open":
            self._channel.send(datagram)

    def send_audio(self, line: int, payload: bytes, timestamp: int) -> None:
        """Send an Opus packet on an audio line, if the offer had so many."""
        tracks = list(self._lines.values())
        if line < len(tracks):
            tracks[line].push_opus(payload, timestamp)

    async def close(self) -> None:
        """Close the connection, its tracks and tasks."""
        if self._camera is not None:
            await self._camera.close()
        await super().close()

    def _add_splat_line(self, transceiver: RTCRtpTransceiver) -> None:
        if self._splats is None:
            self._splats = _DatagramTrack()
            transceiver.direction = "sendonly"
            transceiver.sender.replaceTrack(self._splats)
            cast(Any, transceiver.sender)._send_keyframe = self._ignore_key_request

    def _ignore_key_request(self) -> None:
        self.key_requests += 1

    def _add_audio_line(self, mid: str, transceiver: RTCRtpTransceiver) -> None:
        if mid not in self._lines:
            self._lines[mid] = AudioPacketTrack()
            transceiver.direction = "sendonly"
            transceiver.sender.replaceTrack(self._lines[mid])

    def _tap_audio(self, mid: str, transceiver: RTCRtpTransceiver) -> None:
        if mid not in self._tapped:
            self._tapped.add(mid)
            receiver = cast(Any, transceiver.receiver)
            receiver._RTCRtpReceiver__jitter_buffer = _OpusTap(self._events)

    def _tap_camera(self, transceiver: RTCRtpTransceiver) -> None:
        if self._camera is None and transceiver.receiver.track is not None:
            self._camera = _CameraLine(transceiver.receiver, self._events)

    def _channel_opened(self, channel: RTCDataChannel) -> None:
        if channel.label != CHANNEL_LABEL or self._channel is not None:
            logger.info("peer %s: data channel %r ignored", self.name, channel.label[:40])
            return
        self._channel = channel
        channel.on("message", self._events.datagram_came)
        self._check_ready()

    def _state_changed(self) -> None:
        logger.debug("peer %s: %s", self.name, self.pc.connectionState)
        self._check_ready()
        if not self._closed and self.pc.connectionState in ("failed", "closed"):
            self._events.peer_gone()

    def _check_ready(self) -> None:
        """Tell once that splats can be sent."""
        connected = self.pc.connectionState == "connected"
        if not self._ready and connected and (self.transport == "rtp" or self._channel is not None):
            self._ready = True
            self._events.peer_ready()


class ViewerPeer(_Connection):
    """A plain WebRTC client's connection: one VP8 track, and a voice where its offer has a line for it (WHEP)."""

    def __init__(self, ice_servers: tuple[str, ...], name: str, on_gone: Callable[[], None]) -> None:
        super().__init__(ice_servers, name)
        self.video = VideoPacketTrack()
        self.audio = AudioPacketTrack()
        self._on_gone = on_gone
        self.pc.on("connectionstatechange", self._state_changed)

    async def answer(self, sdp: str, ask_key: Callable[[], None]) -> str:
        """Answer the one offer of a viewer; `ask_key` is called when it asks for a key frame. Raises OfferError."""
        taken: set[str] = set()
        for line, transceiver in await self.take_offer(sdp):
            if line.direction not in ("recvonly", "sendrecv") or line.kind in taken:
                continue
            taken.add(line.kind)
            transceiver.direction = "sendonly"
            transceiver.sender.replaceTrack(self.video if line.kind == "video" else self.audio)
            if line.kind == "video":
                _keep_vp8(transceiver)
                sender = cast(Any, transceiver.sender)
                sender._send_keyframe = ask_key
        if "video" not in taken:
            raise OfferError("offer", "the offer wants no video", expected="a recvonly video line", got="none")
        return await self.make_answer()

    def _state_changed(self) -> None:
        if not self._closed and self.pc.connectionState in ("failed", "closed"):
            self._on_gone()


def session_id(sdp: str) -> str:
    """Return what names the browser's connection in its offers: user and session id of the origin line."""
    for line in sdp.splitlines():
        if line.startswith("o="):
            return " ".join(line[2:].split()[:2])
    return ""


def _keep_vp8(transceiver: RTCRtpTransceiver) -> None:
    """Narrow a line to VP8 and its retransmissions."""
    kept = []
    types = set()
    for codec in transceiver._codecs:
        name = codec.mimeType.lower()
        if name == "video/vp8" or (name == "video/rtx" and codec.parameters.get("apt") in types):
            types.add(codec.payloadType)
            kept.append(codec)
    transceiver._codecs = kept


def _set_parameters(transceiver: RTCRtpTransceiver, mime_type: str, parameters: dict[str, int]) -> None:
    """Set the format parameters that the answer gives for a codec."""
    for codec in transceiver._codecs:
        if codec.mimeType.lower() == mime_type:
            codec.parameters = dict(parameters)
