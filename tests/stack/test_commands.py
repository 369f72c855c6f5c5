"""`stream-app` itself and `stream-app token`."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from stream_app.cli import COMMANDS, load

PROGRAM = Path(sys.executable).parent / "stream-app"
SECRET = "a secret for tests that is long enough"


def token(*arguments, **env):
    return subprocess.run(
        [PROGRAM, "token", *arguments], capture_output=True, text=True, check=False, env={**os.environ, **env}
    )


@pytest.mark.parametrize(
    ("arguments", "operators"),
    [
        (["--operator", "M1"], ["M1"]),
        (["--operator", "*"], ["*"]),
        (["--operator", "M1", "--operator", "大 客户"], ["M1", "大 客户"]),
    ],
)
def test_token_prints_just_a_token_for_the_operators(arguments, operators):
    done = token(*arguments, STREAM_APP_JWT_SECRET=SECRET)
    assert done.stderr == ""
    claims = jwt.decode(done.stdout.removesuffix("\n"), OctKey.import_key(SECRET)).claims
    assert claims["scope"] == "crm:read"
    assert claims["operators"] == operators
    assert abs(claims["exp"] - time.time() - 24 * 3600) < 60
    assert "rate" not in claims


def test_token_takes_its_life_and_rate():
    done = token("--operator", "M1", "--hours", "2", "--rate", "7", STREAM_APP_JWT_SECRET=SECRET)
    claims = jwt.decode(done.stdout.strip(), OctKey.import_key(SECRET)).claims
    assert claims["exp"] - claims["iat"] == 7200
    assert claims["rate"] == 7


def test_token_names_its_claims_as_the_settings_do():
    done = token(
        *("--operator", "M1"),
        STREAM_APP_JWT_SECRET=SECRET,
        STREAM_APP_JWT_SCOPE_CLAIM="scp",
        STREAM_APP_JWT_OPERATORS_CLAIM="merchants",
        STREAM_APP_JWT_ISSUER="crm",
        STREAM_APP_JWT_AUDIENCE="stats",
    )
    claims = jwt.decode(done.stdout.strip(), OctKey.import_key(SECRET)).claims
    assert {name: claims[name] for name in ("scp", "merchants", "iss", "aud")} == {
        "scp": "crm:read",
        "merchants": ["M1"],
        "iss": "crm",
        "aud": "stats",
    }
    assert "scope" not in claims


@pytest.mark.parametrize(
    ("arguments", "scope", "operators"),
    [(["--ops"], "ops:read", []), (["--ops", "--operator", "M1"], "crm:read ops:read", ["M1"])],
)
def test_token_for_operations(arguments, scope, operators):
    done = token(*arguments, STREAM_APP_JWT_SECRET=SECRET)
    claims = jwt.decode(done.stdout.strip(), OctKey.import_key(SECRET)).claims
    assert (claims["scope"], claims["operators"]) == (scope, operators)


def test_a_token_for_nothing_is_one_clear_sentence():
    done = token(STREAM_APP_JWT_SECRET=SECRET)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "stream-app token: a token for what? Say --operator, which may be repeated, or --ops.\n"


def test_token_without_a_secret_is_one_clear_sentence():
    done = token("--operator", "M1")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "stream-app token: there is no secret to sign with: run make up first, or set STREAM_APP_JWT_SECRET.\n"
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_there(name):
    assert load(name)


def test_help_names_every_command_and_imports_none():
    code = "import sys; sys.argv = ['stream-app', '--help']; from stream_app.cli import main; main()\n"
    code += "print([name for name in ('faust', 'aiokafka', 'fastapi', 'stream_app.cli.token') if name in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.endswith("\n[]\n")
    assert all(f"  {name}" in out for name in COMMANDS)


def test_an_unknown_command_is_told():
    done = subprocess.run([PROGRAM, "wurst"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("There is no command 'wurst'.\n")
