"""The desk command: sentences for a taken port and a second desk, and a first start that is complete."""

import os
import socket
import stat
import subprocess
import sys

import pytest
from django.core.management.base import CommandError
from django.http import HttpResponse
from django.test import RequestFactory

from tradingsite.management.commands import desk
from tradingsite.security import ContentSecurityPolicy


def test_a_taken_port_is_named_with_the_variable_that_changes_it():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(CommandError, match=rf"Port {port} on 127\.0\.0\.1 is taken .* Set DESK_PORT"):
            desk.require_free_port("127.0.0.1", port)
    desk.require_free_port("127.0.0.1", port)


@pytest.mark.parametrize(
    ("host", "port", "sentence"),
    [
        ("no.such.host.invalid", 8000, "DESK_HOST no.such.host.invalid is not an address of this machine."),
        ("192.0.2.1", 8000, "DESK_HOST 192.0.2.1 cannot be used: Cannot assign requested address."),
        ("127.0.0.1", 0, "--port is 0, but must be a whole number from 1 to 65535."),
        ("127.0.0.1", 65536, "--port is 65536, but must be a whole number from 1 to 65535."),
    ],
)
def test_an_impossible_address_is_a_sentence(host, port, sentence):
    with pytest.raises(CommandError) as caught:
        desk.require_free_port(host, port)
    assert str(caught.value) == sentence


def test_a_second_desk_on_the_same_folder_is_refused(tmp_path):
    script = (
        "import sys, pathlib; from tradingsite.management.commands import desk\n"
        "with desk.only_desk_here(pathlib.Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", f"import django; django.setup(); exec({script!r})", str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=desk.settings.BASE_DIR,
    ) as first:
        assert first.stdout.readline() == b"held\n"
        with (
            pytest.raises(CommandError, match=rf"already runs from .* \(process {first.pid}\)"),
            desk.only_desk_here(tmp_path),
        ):
            pytest.fail("two desks on one folder")
        first.stdin.close()
    with desk.only_desk_here(tmp_path):
        assert (tmp_path / "desk.lock").read_text().isdecimal()


def test_a_data_folder_that_cannot_be_made_is_a_sentence(settings, tmp_path):
    (tmp_path / "file").write_text("")
    settings.DATA_FOLDER = tmp_path / "file" / "var"
    with pytest.raises(CommandError, match=r"The folder of DATA_FOLDER, .* cannot be made: Not a directory\."):
        desk.make_data_folder()


def test_a_database_that_does_not_answer_is_named_without_its_password(tmp_path):
    result = subprocess.run(
        [sys.executable, "manage.py", "desk", "--once-setup"],
        cwd=desk.settings.BASE_DIR,
        env={
            **os.environ,
            "DATA_FOLDER": str(tmp_path),
            "DATABASE_URL": "postgres://desk:geheim@127.0.0.1:1/desk",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr.startswith("CommandError: The database of DATABASE_URL does not answer: ")
    assert "Traceback" not in result.stderr
    assert "geheim" not in result.stderr


def test_the_first_start_prepares_everything_and_the_second_changes_nothing(tmp_path):
    environment = {**os.environ, "DATA_FOLDER": str(tmp_path / "var"), "DATABASE_URL": "", "REDIS_URL": ""}
    printed = [
        subprocess.run(
            [sys.executable, "manage.py", "desk", "--once-setup", "--no-demo"],
            cwd=desk.settings.BASE_DIR,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for _ in range(2)
    ]
    assert "Schedules created: tick, sweep." in printed[0]
    assert "Schedules created" not in printed[1]
    assert {path.name for path in (tmp_path / "var").iterdir()} >= {"paperdesk.sqlite3", "queue", "static"}
    assert stat.S_IMODE((tmp_path / "var").stat().st_mode) == 0o700


def test_the_demo_password_is_made_once_and_only_for_its_owner(settings, tmp_path):
    settings.DATA_FOLDER = tmp_path
    password = desk.demo_password()
    assert len(password) >= 12
    assert desk.demo_password() == password
    assert stat.S_IMODE((tmp_path / "demo-password").stat().st_mode) == 0o600


def test_the_desk_runs_one_web_one_worker_and_one_schedule():
    found = desk.programs(8123)
    assert [program.name for program in found] == ["web", "worker", "schedule"]
    assert "8123" in found[0].command
    assert [program.environment["DESK_PROCESS"] for program in found] == ["web", "worker", "worker"]


def test_every_answer_carries_the_content_security_policy():
    answer = ContentSecurityPolicy(lambda _request: HttpResponse("ok"))(RequestFactory().get("/"))
    policy = answer.headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy


def test_an_answer_with_its_own_policy_keeps_it():
    own = HttpResponse("ok", headers={"Content-Security-Policy": "default-src 'none'"})
    answer = ContentSecurityPolicy(lambda _request: own)(RequestFactory().get("/"))
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'"
