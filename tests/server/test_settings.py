"""Settings: ranges and the environment."""

import pytest

from server.settings import Settings, SettingsError


def test_the_environment_is_read() -> None:
    environment = {
        "SPLATCALL_PORT": "9000",
        "SPLATCALL_IMPORTANCE": "no",
        "SPLATCALL_QUALITY": "42.5",
        "SPLATCALL_ICE_SERVERS": "stun:a:1, turn:b:2",
        "OTHER": "x",
    }
    settings = Settings.from_environment(environment)
    assert (settings.port, settings.importance, settings.quality) == (9000, False, 42.5)
    assert settings.ice_servers == ("stun:a:1", "turn:b:2")


def test_no_public_server_is_asked_by_default() -> None:
    assert Settings().ice_servers == ()


@pytest.mark.parametrize(
    "environment",
    [
        {"SPLATCALL_PORT": "70000"},
        {"SPLATCALL_PORT": "http"},
        {"SPLATCALL_IMPORTANCE": "perhaps"},
        {"SPLATCALL_TLS_CERT": "only.pem"},
        {"SPLATCALL_TOKEN_SECRET": "short"},
    ],
)
def test_bad_settings_say_what_was_expected(environment: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="must"):
        Settings.from_environment(environment)
