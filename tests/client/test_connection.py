"""What the connection does: it breaks, it is refused, it goes elsewhere, it is closed."""

from __future__ import annotations

import contextlib
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from mcnb.client import RemoteCompose, connect
from mcnb.client.feed import PATIENCE
from mcnb.errors import (
    DiskFullError,
    InvalidInputError,
    McnbError,
    NotFoundError,
    QueueFullError,
    ServerError,
    ServerRestartedError,
    ServerStoppingError,
)
from mcnb.runtime import Compose
from tests.client.conftest import Connect, Serve
from tests.client.stand_in_server import TOKEN, Canned, Lost, StandInServer
from tests.support.runs import FIRST_LINE, Gate, Models, own_threads
from tests.support.texts import POEM

MakeCompose = Callable[..., Compose]

RUNS = "POST api/workflows/runs"


def told(code: str, message: str, **more: Any) -> str:
    return json.dumps({"error": {"code": code, "message": message}, **more})


@pytest.fixture
def poet(compose: MakeCompose, models: Models) -> Compose:
    return compose(models.poet)


# --- a request ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", [[Lost()], [Lost(early=True)], [Lost(), Lost(), Canned(502, "<html>Bad Gateway")]])
def test_a_post_whose_connection_breaks_is_one_run(
    poet: Compose, serve: Serve, connected: Connect, lost: list[Lost | Canned]
) -> None:
    server = serve(poet)
    remote = connected(server)
    server.instead(RUNS, *lost)
    assert remote.run(prompt=FIRST_LINE).output == POEM
    assert len(server.runs) == 1
    sent = server.requests("POST", "/runs")
    assert len(sent) == len(lost) + 1
    assert len({item.headers["Idempotency-Key"] for item in sent}) == 1
    remote.run(prompt=FIRST_LINE)
    assert len(server.runs) == 2, "each run has a key of its own"


@pytest.mark.parametrize(
    ("reply", "kind", "said"),
    [
        (Canned(400, told("invalid_input", "no", errors=[{"field": "a", "message": "b"}])), InvalidInputError, "no"),
        (Canned(404, told("not_found", "no such workflow")), NotFoundError, "no such workflow"),
        (Canned(503, told("server_stopping", "stopping")), ServerStoppingError, "stopping"),
        (Canned(507, told("disk_full", "the disk is full")), DiskFullError, "the disk is full"),
        (Canned(400, told("invalid_document", "model-compose.yml:1:1: bad")), ServerError, "bad"),
        (Canned(418, told("of_the_future", "a new word")), ServerError, "a new word"),
        (Canned(413, "<html>"), InvalidInputError, "larger than the server takes"),
        (Canned(413, told("too_large", "over 1 MB")), InvalidInputError, "larger than the server takes"),
        (Canned(403, told("forbidden", "no")), ServerError, "does not accept this token; give the one"),
        (Canned(500, "<html>Oops</html>"), ServerError, "answered 500 Internal Server Error"),
        (Canned(302, "", {"Location": "/login?next=%2F"}), ServerError, "does not accept this token; give the one"),
        (Canned(301, "", {"Location": "https://elsewhere/?token=x"}), ServerError, "to https://elsewhere/; connect"),
        (Canned(200, "<html>a portal</html>"), ServerError, "cannot be understood"),
        (Canned(202, "[]"), ServerError, "names no run"),
        (Canned(202, '{"run_id": "../../x"}'), ServerError, "a run has no id"),
    ],
)
def test_what_a_server_says(
    poet: Compose, serve: Serve, connected: Connect, reply: Canned, kind: type[McnbError], said: str
) -> None:
    server = serve(poet)
    remote = connected(server)
    server.instead(RUNS, reply)
    with pytest.raises(kind) as caught:
        remote.submit(prompt="a")
    assert type(caught.value) is kind
    assert said in str(caught.value)
    if kind is InvalidInputError and reply.status == 400:
        assert caught.value.errors == ({"field": "a", "message": "b"},)  # type: ignore[attr-defined]


def test_what_is_wrong_with_the_input_is_said_by_field(poet: Compose, serve: Serve, connected: Connect) -> None:
    remote = connected(serve(poet))
    with pytest.raises(InvalidInputError) as here:
        poet.submit(promt="a")
    with pytest.raises(InvalidInputError) as there:
        remote.submit(promt="a")
    assert (str(there.value), there.value.errors) == (str(here.value), here.value.errors)


def full(after: str) -> Canned:
    return Canned(429, told("queue_full", "64 runs wait already"), {"Retry-After": after})


def test_a_full_queue_is_asked_again_when_it_says(poet: Compose, serve: Serve, connected: Connect) -> None:
    server = serve(poet)
    remote = connected(server)
    pauses: list[float] = []
    remote._server.pause = pauses.append
    server.instead(RUNS, full("3"), full("7"))
    assert remote.run(prompt=FIRST_LINE).output == POEM
    assert [pause for pause in pauses if pause >= 1][:2] == [3, 7]


@pytest.mark.parametrize("refusals", [[full("1")] * 4, [full("900")]])
def test_a_queue_that_stays_full(poet: Compose, serve: Serve, connected: Connect, refusals: list[Canned]) -> None:
    server = serve(poet)
    remote = connected(server)
    server.instead(RUNS, *refusals)
    with pytest.raises(QueueFullError) as caught:
        remote.run(prompt=FIRST_LINE)
    assert caught.value.retry_after == int(refusals[0].headers["Retry-After"])
    assert not server.replies[RUNS]


def test_a_batch_waits_for_the_queue(poet: Compose, serve: Serve, connected: Connect) -> None:
    server = serve(poet)
    remote = connected(server)
    server.instead(RUNS, *[full("900")] * 12)
    batch = remote.batch([FIRST_LINE] * 5)
    assert batch.wait(60)
    assert [row.output for row in batch.rows] == [POEM] * 5


# --- a stream -------------------------------------------------------------------------------------------------------


def test_a_server_that_restarts_tells_so(
    compose: MakeCompose, models: Models, serve: Serve, connected: Connect
) -> None:
    composed = compose(models.endless)
    server = serve(composed)
    run = connected(server).submit(prompt=FIRST_LINE)
    here = Gate().at_token(run, 10)
    assert here.reached.wait(60)
    server.stop()
    server.start_again()
    here.open()
    assert run.wait(60)
    assert run.state == "failed"
    assert isinstance(run.error, ServerRestartedError)
    (kept,) = server.runs.values()
    assert run.text == "".join(event["text"] for event in kept.events(0) if event["type"] == "token")
    assert kept.run.text.startswith(run.text) or run.text.startswith(kept.run.text)


def test_a_server_that_stays_away(compose: MakeCompose, models: Models, serve: Serve, connected: Connect) -> None:
    server = serve(compose(models.endless))
    remote = connected(server)
    hours = iter(range(10**6))
    run = remote.submit(prompt=FIRST_LINE)
    here = Gate().at_token(run, 5)
    assert here.reached.wait(60)
    run._feed._clock = lambda: next(hours) * PATIENCE  # type: ignore[attr-defined]
    server.stop()
    here.open()
    assert run.wait(60)
    assert run.state == "failed"
    assert isinstance(run.error, ServerError)
    assert "cannot be reached any more" in str(run.error)
    assert run.id in str(run.error)
    assert run.text, "what came, stays"


def test_streams_that_are_refused_for_a_while(poet: Compose, serve: Serve, connected: Connect) -> None:
    server = serve(poet)
    remote = connected(server)
    bad = "data: not JSON\n\n"
    gap = 'data: {"id": 2, "type": "state", "state": "processing", "time": 1}\n\n'
    stream = {"Content-Type": "text/event-stream"}
    replies = [
        Canned(502, "<html>"),
        Canned(429, "", {"Retry-After": "1"}),
        Canned(500, "<html>"),
        Canned(200, "<html>a portal</html>", {"Content-Type": "text/html"}),
        Canned(200, bad, stream),
        Canned(200, gap, stream),
        Canned(200, "", stream),
    ]
    done = remote.run(prompt=FIRST_LINE)
    server.instead(f"GET api/workflows/runs/{done.id}/events", *replies)
    server.instead(f"GET api/workflows/runs/{done.id}", Canned(200, json.dumps({"run_id": done.id})))
    again = remote.find(done.id)
    assert again.wait(60)
    assert (again.state, again.output) == ("completed", POEM)


@pytest.mark.parametrize(
    ("reply", "kind", "said"),
    [
        (Canned(404, told("not_found", "no such run")), NotFoundError, "does not know run"),
        (Canned(403, '{"message": "Forbidden"}'), ServerError, "does not accept this token"),
    ],
)
def test_a_stream_that_is_refused_for_good(
    poet: Compose, serve: Serve, connected: Connect, reply: Canned, kind: type[McnbError], said: str
) -> None:
    server = serve(poet)
    remote = connected(server)
    done = remote.run(prompt=FIRST_LINE)
    server.instead(f"GET api/workflows/runs/{done.id}/events", reply)
    again = remote.find(done.id)
    assert again.wait(60)
    assert again.state == "failed"
    assert type(again.error) is kind
    assert said in str(again.error)


def test_a_result_that_cannot_be_had_at_once(poet: Compose, serve: Serve, connected: Connect) -> None:
    server = serve(poet)
    remote = connected(server)
    done = remote.run(prompt=FIRST_LINE)
    body = Canned(200, json.dumps({"run_id": done.id, "workflow_id": "x"}))
    again_later = [Canned(500, ""), Lost(early=True), Canned(200, '{"status": "processing"}')]
    server.instead(f"GET api/workflows/runs/{done.id}", body, *again_later)
    again = remote.find(done.id)
    assert again.wait(60)
    assert (again.output, again.record.output_sha256) == (POEM, done.record.output_sha256)


@contextlib.contextmanager
def listening(name: str) -> Iterator[list[str]]:
    """What a logger says."""
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger(name).addHandler(handler)
    try:
        yield said
    finally:
        logging.getLogger(name).removeHandler(handler)


def test_a_record_that_cannot_be_read(poet: Compose, serve: Serve, connected: Connect) -> None:
    server = serve(poet)
    remote = connected(server)
    done = remote.run(prompt=FIRST_LINE)
    body = {"run_id": done.id, "status": "completed", "output": POEM, "record": {"format": 99}}
    server.instead(f"GET api/workflows/runs/{done.id}", *[Canned(200, json.dumps(body))] * 2)
    with listening("mcnb.client.run") as said:
        again = remote.find(done.id)
        assert again.wait(60)
    assert (again.state, again.output, again.record.state) == ("completed", POEM, "completed")
    assert any("not a record of format 1" in line for line in said)


# --- the end --------------------------------------------------------------------------------------------------------


def test_closing_ends_what_is_followed(
    compose: MakeCompose, models: Models, serve: Serve, connected: Connect, gate: Gate
) -> None:
    server = serve(compose(models.endless), heartbeat=30)
    remote = connected(server)
    run = remote.submit(prompt=FIRST_LINE)
    (kept,) = server.runs.values()
    gate.at_token(kept.run, 3)
    assert gate.reached.wait(60)
    remote.close()
    assert run.done
    assert (run.state, str(run.error)) == ("failed", f"the connection was closed; run {run.id} goes on at the server")
    assert not kept.run.done
    gate.open()
    kept.run.cancel()
    assert kept.run.wait(60)
    with pytest.raises(ServerError):
        remote.submit(prompt="a")


def test_threads_end_with_their_runs(poet: Compose, serve: Serve, connected: Connect) -> None:
    remote = connected(serve(poet))
    runs = [remote.submit(prompt=FIRST_LINE) for _ in range(5)]
    assert all(run.wait(60) for run in runs)
    for thread in own_threads():
        if thread.name == "mcnb-remote-run":
            thread.join(60)
    assert not [thread for thread in own_threads() if thread.name.startswith("mcnb-remote")]
    assert not remote._server.feeds


def test_what_nobody_holds_is_closed(poet: Compose, serve: Serve) -> None:
    import gc

    remote: RemoteCompose | None = connect(serve(poet).url, TOKEN)
    assert remote is not None
    client = remote._server._client
    del remote
    gc.collect()
    assert client.is_closed


# --- connecting -----------------------------------------------------------------------------------------------------


def test_addresses_as_people_copy_them(poet: Compose, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(poet, base="/user/ada")
    for ending in ("", "/", "/api", "/lab", "/tree", "/lab/tree/a%20b.ipynb", "/api/workflows"):
        with connect(f"{server.url}{ending}?token={TOKEN}") as remote:
            assert remote.url == server.url
    for name in ("JUPYTER_TOKEN", "MCNB_TOKEN"):
        monkeypatch.setenv(name, TOKEN)
        with connect(server.url) as remote:
            assert len(remote.workflows) == 1
        monkeypatch.delenv(name)


def test_a_server_without_a_token(poet: Compose, serve: Serve) -> None:
    with connect(serve(poet, token=None).url) as remote:
        assert remote.run(prompt=FIRST_LINE).output == POEM


@pytest.mark.parametrize(
    ("options", "token", "said"),
    [
        ({}, None, "asks for a token; give the one that the server printed"),
        ({}, "wrong", "does not accept this token; give the one"),
        ({"is_mcnb": False}, TOKEN, "has no mcnb; pip install 'mcnb[server]' where it runs"),
        ({"is_mcnb": False, "is_jupyter": False}, TOKEN, "is not a Jupyter server; check the address"),
    ],
)
def test_servers_that_are_of_no_use(
    poet: Compose, serve: Serve, options: dict[str, Any], token: str | None, said: str
) -> None:
    with pytest.raises(ServerError) as caught:
        connect(serve(poet, **options).url, token)
    assert said in str(caught.value)
    assert str(token) not in str(caught.value)


def test_nobody_there(poet: Compose, serve: Serve) -> None:
    server = serve(poet)
    server.stop()
    with pytest.raises(ServerError) as caught:
        connect(server.url, TOKEN)
    assert f"the server at {server.url} cannot be reached" in str(caught.value)
    assert "is it running" in str(caught.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("gpu-box:8888", "gpu-box:8888 is not the address"),
        ("ftp://x/?token=secret", "ftp://x/ is not the address"),
        ("http://ada:secret@x", "a name and password in the address are not used"),
        ("http://x y", "is not the address"),
        ("", "is not the address"),
    ],
)
def test_what_is_no_address(url: str, said: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        connect(url)
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_token_that_is_none() -> None:
    with pytest.raises(InvalidInputError, match="characters that no token has"):
        connect("http://127.0.0.1:1", "a\nb")


def test_no_proxy_stands_before_this_machine(poet: Compose, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "socks5://192.0.2.1:1")
    with connect(serve(poet).url, TOKEN) as remote:
        assert remote.workflows
    with pytest.raises(ServerError, match="as the environment asks"):
        connect("http://gpu-box.example:8888", TOKEN)


def test_the_token_does_not_follow_a_redirection(poet: Compose, serve: Serve) -> None:
    server, other = serve(poet), serve(poet)
    server.instead("GET api/workflows", Canned(307, "", {"Location": f"{other.url}/api/workflows"}))
    with pytest.raises(ServerError, match="sends elsewhere"):
        connect(server.url, TOKEN)
    assert other.seen == []


def test_certificates_are_verified(poet: Compose, serve: Serve, connected: Connect) -> None:
    import ssl

    context = connected(serve(poet))._server._client._transport._pool._ssl_context  # type: ignore[attr-defined]
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_the_token_is_not_shown(poet: Compose, serve: Serve, connected: Connect) -> None:
    remote = connected(serve(poet))
    assert TOKEN not in repr(remote) + str(vars(remote._server))


def test_what_talks_to_servers_is_not_installed(tmp_path: Any) -> None:
    code = (
        "import sys; sys.modules['httpx'] = None\n"
        "import mcnb\n"
        "try: mcnb.connect('http://127.0.0.1:1')\n"
        "except mcnb.errors.NotSupportedError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True, cwd=str(tmp_path)
    )
    assert done.stdout == ("talking to a server needs httpx, which is not installed; pip install 'mcnb[client]'\n")


def test_importing_the_package_brings_no_httpx() -> None:
    code = "import sys, mcnb, mcnb.client; print('httpx' in sys.modules, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "False False\n"


def test_httpx_is_of_a_version_that_is_known() -> None:
    assert tuple(map(int, httpx.__version__.split(".")[:2])) >= (0, 27)


def test_a_stand_in_is_a_server(serve: Serve, poet: Compose) -> None:
    server = serve(poet)
    assert isinstance(server, StandInServer)
    reply = httpx.get(f"{server.url}/api/workflows", headers={"Authorization": f"token {TOKEN}"}, trust_env=False)
    assert reply.status_code == 200
