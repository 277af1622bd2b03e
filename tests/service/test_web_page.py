"""The web page's process: its token, what it serves, and that it never outlives its service."""

from __future__ import annotations

import http.client
import importlib.util
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from mcnb.service.log import ServiceLog
from mcnb.service.page.settings import PageSettings
from mcnb.service.web_page import WebPage
from tests.cli.processes import environment

TOKEN = "a-token-of-the-page-0123456789"
PATIENCE = 60.0

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("voila") is None, reason="Voila is not installed"),
    pytest.mark.usefixtures("home"),
]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], object]) -> None:
    limit = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.05)


def settings(port: int, token: str = TOKEN) -> PageSettings:
    return PageSettings("127.0.0.1", port, "A <title>", token)


def get(port: int, path: str, *, method: str = "GET", **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request(method, path, headers=headers)
        reply = connection.getresponse()
        return reply.status, reply.read().decode() + (reply.getheader("Location") or "")
    finally:
        connection.close()


def answers(port: int) -> bool:
    try:
        get(port, "/")
    except OSError:
        return False
    return True


class Running:
    """A page whose service answers nothing."""

    def __init__(self, log: ServiceLog, token: str = TOKEN) -> None:
        self.port = free_port()
        self.log = log
        self.ended: list[int] = []
        api = f"http://127.0.0.1:{free_port()}"
        self.page = WebPage(settings(self.port, token), api, log, on_end=self.ended.append)
        until(lambda: answers(self.port) or not self.page.alive)
        assert self.page.alive, log.path.read_text()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    log = ServiceLog(tmp_path_factory.mktemp("page") / "page.log", [TOKEN])
    found = Running(log)
    yield found
    found.page.stop()
    log.close()
    assert not found.page.alive
    assert found.ended == []


def test_it_asks_for_the_token(running: Running) -> None:
    assert get(running.port, "/") == (302, "/login?next=%2F")
    assert get(running.port, f"/?token={TOKEN}x")[0] == 302
    assert get(running.port, "/api/kernels/00000000-0000-0000-0000-000000000000")[0] == 403
    assert get(running.port, "/api/kernels/00000000-0000-0000-0000-000000000000/channels")[0] in (400, 403, 404)


def test_a_visitor_sees_the_page(running: Running) -> None:
    status, text = get(running.port, f"/?token={TOKEN}")
    assert status == 200
    assert "<title>A &lt;title&gt;</title>" in text
    assert "show_form" not in text  # the code stays behind
    assert TOKEN not in text
    assert "cannot be reached" in text  # there is no service: one sentence, and no trace
    assert "Traceback" not in text


def test_the_page_brings_nothing_from_other_machines(running: Running) -> None:
    _, text = get(running.port, f"/?token={TOKEN}")
    head = text.partition("</head>")[0]
    for mark in ('src="http', 'href="http', "src='http", "url(http", "cdn.jsdelivr"):
        assert mark not in head


@pytest.mark.parametrize(
    "path", ["/voila/query/00000000-0000-0000-0000-000000000000", "/voila/files/form.ipynb", "/voila/tree"]
)
def test_what_is_not_served(running: Running, path: str) -> None:
    status, text = get(running.port, f"{path}?token={TOKEN}")
    assert status != 101
    assert "show_form" not in text
    assert status in (302, 404)


def test_requests_for_another_host_are_refused(running: Running) -> None:
    assert get(running.port, f"/?token={TOKEN}", Host="evil.example")[0] == 403


def test_no_secret_is_on_a_command_line_or_in_the_log(running: Running) -> None:
    process = psutil.Process(running.page.pid)
    for each in (process, *process.children(recursive=True)):
        assert TOKEN not in " ".join(each.cmdline())
    get(running.port, f"/voila/static/nothing?token={TOKEN}")
    until(lambda: "running at" in running.log.path.read_text())
    assert TOKEN not in running.log.path.read_text()


def test_without_a_token_nothing_is_asked_for(tmp_path: Path) -> None:
    log = ServiceLog(tmp_path / "page.log")
    running = Running(log, token="")
    try:
        assert get(running.port, "/")[0] == 200
    finally:
        running.page.stop()
        log.close()


def test_its_death_is_noticed(tmp_path: Path) -> None:
    log = ServiceLog(tmp_path / "page.log", [TOKEN])
    running = Running(log)
    kernels = psutil.Process(running.page.pid).children(recursive=True)
    psutil.Process(running.page.pid).kill()
    until(lambda: running.ended)
    assert running.ended == [-signal.SIGKILL]
    assert "the web page's process ended" in log.path.read_text()
    until(lambda: not any(kernel.is_running() for kernel in kernels))
    running.page.stop()
    log.close()


SERVICE = """
import sys
from pathlib import Path
from mcnb.service.log import ServiceLog
from mcnb.service.page.settings import PageSettings
from mcnb.service.web_page import WebPage
page = WebPage(PageSettings.from_json(sys.argv[1]), "http://127.0.0.1:9", ServiceLog(Path(sys.argv[2])))
print(page.pid, flush=True)
sys.stdin.read()
"""


def test_it_ends_with_a_killed_service(tmp_path: Path) -> None:
    port = free_port()
    service = subprocess.Popen(
        [sys.executable, "-c", SERVICE, settings(port, "").to_json(), str(tmp_path / "page.log")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(),
    )
    assert service.stdin is not None
    assert service.stdout is not None
    with service.stdin, service.stdout:
        page = psutil.Process(int(service.stdout.readline()))
        until(lambda: answers(port))
        family = [page, *page.children(recursive=True)]
        service.kill()
        service.wait()
        until(lambda: not any(member.is_running() for member in family))
