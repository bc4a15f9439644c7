"""`splatcall serve`: the command line of the server."""

import argparse
import logging
import os
import sys
from dataclasses import replace

from server.settings import Settings, SettingsError

__all__ = ["register"]


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to `splatcall`; the entry point named in pyproject.toml."""
    parser = commands.add_parser("serve", help="serve calls", description="Serve the call page and its calls.")
    parser.add_argument("--host", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on (8080)")
    parser.add_argument("--workers", type=int, help="encode workers (one a core, four at most)")
    parser.add_argument("--tls-cert", metavar="F", help="certificate chain, for https")
    parser.add_argument("--tls-key", metavar="F", help="private key, for https")
    parser.add_argument("--no-importance", action="store_true", help="encode faces and people like all else")
    parser.set_defaults(run=_serve)


def _serve(arguments: argparse.Namespace) -> int:
    """Serve until stopped."""
    from server.app import run  # here, so that other commands start without the web's libraries
    from server.listen import check_tls, open_listeners

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True)
    logging.getLogger("aioice").setLevel(logging.WARNING)  # one line a candidate pair is too much
    names = ("host", "port", "workers", "tls_cert", "tls_key")
    given = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    try:
        settings = replace(Settings.from_environment(os.environ), **given)
        if arguments.no_importance:
            settings = replace(settings, importance=False)
        check_tls(settings)
        listeners = open_listeners(settings.host, settings.port)
    except SettingsError as error:
        print(f"splatcall serve: {error}", file=sys.stderr)
        return 2
    scheme = "https" if settings.tls_cert else "http"
    shown = "localhost" if settings.host in ("127.0.0.1", "0.0.0.0", "::", "::1") else settings.host
    print(f"call page: {scheme}://{shown}:{listeners[0].getsockname()[1]}", flush=True)
    run(settings, listeners)
    return 0
