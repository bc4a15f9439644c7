"""Figures of the whole server as text for Prometheus (exposition format 0.0.4)."""

from server.hub import Hub

__all__ = ["render_metrics"]


def render_metrics(hub: Hub) -> str:
    """Return all figures."""
    calls, publishers = hub.calls, hub.publishers
    recent = [record for publisher in publishers for record in list(publisher.records)[-30:]]
    gauges: list[tuple[str, str, str, float]] = [
        ("splatcall_rooms", "gauge", "Rooms with somebody in them", len(calls)),
        ("splatcall_participants", "gauge", "Participants of all rooms", sum(len(call.room) for call in calls)),
        ("splatcall_publishers", "gauge", "Participants who send pictures", len(publishers)),
        ("splatcall_viewers", "gauge", "Plain WebRTC viewers", sum(call.viewers for call in calls)),
        (
            "splatcall_key_requests",
            "gauge",
            "Key frame requests for splat lines of present connections, ignored",
            sum(call.key_requests for call in calls),
        ),
        ("splatcall_workers", "gauge", "Encode workers alive", len(hub.pool.pids)),
        ("splatcall_workers_replaced_total", "counter", "Encode workers that died", hub.pool.replaced),
        ("splatcall_frames_per_second", "gauge", "Frames encoded a second", sum(p.fps for p in publishers)),
        (
            "splatcall_pictures_dropped",
            "gauge",
            "Pictures of present publishers that were lost before encoding",
            sum(p.dropped for p in publishers),
        ),
        (
            "splatcall_pictures_skipped",
            "gauge",
            "Pictures of present publishers left out for the frame rate or the bitrate",
            sum(p.skipped for p in publishers),
        ),
        (
            "splatcall_encode_milliseconds",
            "gauge",
            "Mean encode time of each publisher's last 30 frames",
            sum(record.encode_ms for record in recent) / len(recent) if recent else 0.0,
        ),
    ]
    lines = []
    for name, kind, text, value in gauges:
        lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}", f"{name} {value:g}"]
    return "\n".join(lines) + "\n"
