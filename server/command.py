"""The `serve` command: arguments over environment to settings, then the server until it is stopped."""

import argparse
import dataclasses
import logging
import os
import socket
import sys
from typing import TypeAlias

from server.settings import Settings, SettingsError

__all__ = ["register"]

_EXIT_BAD_INPUT = 2
_MAX_MESSAGE_BYTES = 64 * 1024
_STOP_S = 5

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def register(commands: Commands) -> None:
    """Add `serve` to the command line; what it does not name comes from SPLATCALL_... variables."""
    parser = commands.add_parser("serve", help="the call server and its page")
    parser.add_argument("--host", metavar="H", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, metavar="P", help="default 8080; 0: any free one")
    parser.add_argument("--workers", type=int, metavar="N", help="encode processes (default: one a core, four at most)")
    parser.add_argument("--tls-cert", metavar="F", help="certificate chain, PEM, with --tls-key")
    parser.add_argument("--tls-key", metavar="F", help="private key, PEM")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    try:
        settings = _settings(arguments)
    except SettingsError as error:
        print(f"splatcall serve: {error}", file=sys.stderr)
        return _EXIT_BAD_INPUT
    return _serve(settings)


def _settings(arguments: argparse.Namespace) -> Settings:
    named = ("host", "port", "workers", "tls_cert", "tls_key")
    given = {name: getattr(arguments, name) for name in named if getattr(arguments, name) is not None}
    settings = dataclasses.replace(Settings.from_environment(os.environ), **given)
    for path in filter(None, (settings.tls_cert, settings.tls_key)):
        if not os.access(path, os.R_OK):
            raise SettingsError(f"{path}: expected a readable PEM file")
    return settings


def _serve(settings: Settings) -> int:
    # loaded late: encode and decode need no web server
    import uvicorn

    from server.app import create_app

    class LinkingServer(uvicorn.Server):
        """Prints the link once the socket listens."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            """Start as usual, then say where."""
            await super().startup(sockets)
            if self.started:
                print(f"splatcall is ready: {_link(settings, self.servers[0].sockets[0].getsockname()[1])}", flush=True)

    logging.getLogger().setLevel(logging.INFO)
    server = LinkingServer(
        uvicorn.Config(
            create_app(settings),
            host=settings.host,
            port=settings.port,
            loop="asyncio",
            ws="websockets-sansio",
            ws_max_size=_MAX_MESSAGE_BYTES,
            access_log=False,
            log_config=None,
            ssl_certfile=settings.tls_cert or None,
            ssl_keyfile=settings.tls_key or None,
            timeout_graceful_shutdown=_STOP_S,
        )
    )
    server.run()
    return 0 if server.started else 1


def _link(settings: Settings, port: int) -> str:
    everywhere = settings.host in ("", "0.0.0.0", "::", "127.0.0.1", "::1")
    scheme = "https" if settings.tls_cert else "http"
    return f"{scheme}://{'localhost' if everywhere else settings.host}:{port}"
