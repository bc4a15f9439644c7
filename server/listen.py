"""What `serve` needs before it starts: certificates that can be read and a port that is free."""

import socket
import ssl
from pathlib import Path

from server.settings import Settings, SettingsError

__all__ = ["check_tls", "open_listeners"]

BACKLOG = 512


def check_tls(settings: Settings) -> None:
    """Raise SettingsError, naming the file, unless certificate and key can be used; nothing to do without them."""
    if not settings.tls_cert:
        return
    for name in (settings.tls_cert, settings.tls_key):
        try:
            Path(name).read_bytes()
        except OSError as error:
            raise SettingsError(f"{name}: cannot be read: {error.strerror}") from error
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_verify_locations(settings.tls_cert)
    except ssl.SSLError as error:
        raise SettingsError(f"{settings.tls_cert}: expected a certificate chain in PEM, got none") from error
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key, password=lambda: "")
    except ssl.SSLError as error:
        expected = f"the private key in PEM, without a password, of {settings.tls_cert}"
        reason = (error.reason or "no key").lower().replace("_", " ")
        raise SettingsError(f"{settings.tls_key}: expected {expected}, got: {reason}") from error


def open_listeners(host: str, port: int) -> list[socket.socket]:
    """Return listening sockets, one for each address of the host.

    Raises SettingsError when the host is unknown or the port is taken or not allowed.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise SettingsError(f"host must be an address of this machine, got {host}: {error.strerror}") from error
    listeners: list[socket.socket] = []
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            listener = socket.socket(family, socket.SOCK_STREAM)
            listeners.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            port = port or (listeners[0].getsockname()[1] if len(listeners) > 1 else 0)
            listener.bind((address[0], port, *address[2:]))
            listener.listen(BACKLOG)
    except OSError as error:
        for listener in listeners:
            listener.close()
        reason = (error.strerror or str(error)).lower()
        raise SettingsError(f"cannot listen on {host}, port {port}: {reason}") from error
    return listeners
