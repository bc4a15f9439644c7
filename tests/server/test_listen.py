"""Before the server starts: certificates and ports."""

import socket
import subprocess
from pathlib import Path

import pytest

from server.listen import check_tls, open_listeners
from server.settings import Settings, SettingsError


def make_pair(folder: Path, name: str) -> tuple[Path, Path]:
    """Make a certificate and its key."""
    cert, key = folder / f"{name}.crt", folder / f"{name}.key"
    command = ["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    command += ["-subj", "/CN=localhost", "-out", str(cert), "-keyout", str(key)]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key


def check(cert: Path, key: Path) -> None:
    check_tls(Settings(tls_cert=str(cert), tls_key=str(key)))


def test_a_certificate_and_its_key_are_accepted(tmp_path: Path) -> None:
    check(*make_pair(tmp_path, "a"))
    check_tls(Settings())


def test_bad_files_are_named(tmp_path: Path) -> None:
    cert, key = make_pair(tmp_path, "a")
    _, other_key = make_pair(tmp_path, "b")
    none, nonsense = tmp_path / "none", tmp_path / "nonsense"
    nonsense.write_bytes(b"\xff\0nonsense")
    with pytest.raises(SettingsError, match="none: cannot be read: No such file"):
        check(none, key)
    with pytest.raises(SettingsError, match="none: cannot be read: No such file"):
        check(cert, none)
    with pytest.raises(SettingsError, match="cannot be read: Is a directory"):
        check(tmp_path, key)
    with pytest.raises(SettingsError, match="nonsense: expected a certificate chain in PEM"):
        check(nonsense, key)
    with pytest.raises(SettingsError, match="nonsense: expected the private key in PEM"):
        check(cert, nonsense)
    with pytest.raises(SettingsError, match=r"b\.key: expected the private key .* got: key values mismatch"):
        check(cert, other_key)


def test_a_free_port_is_found_and_a_taken_one_named() -> None:
    (listener,) = open_listeners("127.0.0.1", 0)
    port = listener.getsockname()[1]
    assert port > 0
    with pytest.raises(SettingsError, match=f"cannot listen on 127.0.0.1, port {port}: address already in use"):
        open_listeners("127.0.0.1", port)
    listener.close()


def test_all_addresses_of_a_host_share_one_port() -> None:
    listeners = open_listeners("localhost", 0)
    assert len({listener.getsockname()[1] for listener in listeners}) == 1
    for listener in listeners:
        assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
        listener.close()


def test_an_address_of_elsewhere_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"cannot listen on 192\.0\.2\.1, port 0: cannot assign"):
        open_listeners("192.0.2.1", 0)
    with pytest.raises(SettingsError, match="host must be an address of this machine, got no host"):
        open_listeners("no host", 0)
