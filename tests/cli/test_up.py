"""``mcnb up | down | ps | logs`` in processes of their own, on tiny models."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from mcnb.service.registry import started_at
from tests.cli.processes import run
from tests.service.documents import write_document
from tests.service.running import Up, ask, running, until
from tests.support.runs import FIRST_LINE, Models

WEB = {"type": "http-server", "port": 8080, "base_path": "/api", "webui": {"driver": "gradio", "port": 8081}}


def mcnb(home: Path, *arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    # a socket that tornado leaves open when a port is in use is not ours to fail on
    return run(*arguments, MCNB_HOME=str(home), PYTHONWARNINGS="error,ignore::ResourceWarning")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("up")


@pytest.fixture(scope="module")
def served(place: Path, models: Models) -> Iterator[Up]:
    """A service with a token and a web page."""
    file = write_document(place / "poems", models.poet, controller=WEB)
    with running(file, MCNB_HOME=str(place)) as up:
        yield up
        code, said = up.end()
    assert (code, said) == (0, "")
    assert list((place / "services").glob("*.json")) == []
    assert up.token not in next((place / "services").glob("poems*.log")).read_text()


def test_what_it_says(served: Up) -> None:
    lines = served.said.splitlines()
    assert lines[0].endswith(f"poems/model-compose.yml is served at http://localhost:{served.port}/api")
    assert lines[-1] == "Ctrl-C stops"
    assert served.form is not None
    assert served.form.endswith(f"/?token={served.token}")
    assert len(lines) == 10
    assert len(served.token) >= 32


def test_the_printed_curl_works(served: Up) -> None:
    command = served.said.partition("\n\n")[2].partition("\n\n")[0]
    done = subprocess.run(["bash", "-c", command], capture_output=True, timeout=120)
    assert json.loads(done.stdout)["output"]["generated"].startswith("Once upon a time")


def test_without_the_token_nothing_is_answered(served: Up) -> None:
    for token in ("", "wrong" * 8):
        status, _ = served.ask("POST", "/api/workflows/runs", {"input": {"prompt": "a"}}, token=token)
        assert status == 403
        assert served.ask("GET", "/metrics", token=token)[0] == 403


@pytest.mark.parametrize(
    "path",
    ["contents", "kernels", "sessions", "terminals", "kernelspecs", "config/notebook", "status", "shutdown", "events"],
)
def test_jupyters_own_routes_are_not_served(served: Up, path: str) -> None:
    assert served.ask("GET", f"/api/{path}")[0] == 404
    assert served.ask("POST", f"/api/{path}", {})[0] in (404, 405)


@pytest.mark.parametrize("path", ["/files/model-compose.yml", "/view/model-compose.yml", "/nbconvert/html/a", "/tree"])
def test_no_file_is_served(served: Up, path: str) -> None:
    status, text = served.ask("GET", path)
    assert status == 404
    assert "max_output_length" not in str(text)


def test_ps_tells_of_it(served: Up, place: Path) -> None:
    done = mcnb(place, "ps")
    lines = done.stdout.decode().splitlines()
    assert len(lines) == 2
    assert f"http://localhost:{served.port}/api" in lines[1]
    assert str(served.process.pid) in lines[1]
    assert "0 queued, 0 running" in lines[1]
    assert served.token.encode() not in done.stdout


def test_ps_for_programs(served: Up, place: Path) -> None:
    [found] = json.loads(mcnb(place, "ps", "--json").stdout)
    assert found["address"] == f"http://localhost:{served.port}/api"
    assert (found["pid"], found["state"]) == (served.process.pid, "running")
    assert (found["queued"], found["running"]) == (0, 0)
    assert found["files"]
    assert found["since"] <= time.time()
    assert served.token not in str(found)


def test_the_log_is_shown(served: Up, place: Path) -> None:
    until(lambda: b"Voil" in mcnb(place, "logs").stdout)
    done = mcnb(place, "logs", "poems", "-n", "1000")
    assert b"running at" in done.stdout
    assert served.token.encode() not in done.stdout
    assert len(mcnb(place, "logs", "-n", "2").stdout.splitlines()) == 2


def test_a_second_service_of_the_same_file_is_refused(served: Up, place: Path) -> None:
    done = mcnb(place, "up", "-f", place / "poems" / "model-compose.yml", "--port", "0", "--web-port", "0")
    assert done.returncode == 1
    assert b"is served already" in done.stderr
    assert b"mcnb down poems-" in done.stderr
    assert done.stdout == b""


def test_a_port_in_use_is_told(served: Up, place: Path, models: Models) -> None:
    file = write_document(place / "others", models.poet)
    for more in ([], ["--detach"]):
        done = mcnb(place, "up", "-f", file, "--port", str(served.port), *more)
        assert done.returncode == 1
        text = f"error: port {served.port} of 127.0.0.1 is in use; choose another with --port, or see 'mcnb ps'\n"
        assert done.stderr.decode() == text
    assert len(mcnb(place, "ps").stdout.splitlines()) == 2


def test_neither_the_server_nor_a_visitors_kernel_loads_a_library_for_models(served: Up) -> None:
    assert served.form is not None
    port = int(served.form.partition("localhost:")[2].partition("/")[0])
    status, text = ask(port, "GET", f"/?token={served.token}")
    assert status == 200
    assert "<title>A poem</title>" in text
    server = psutil.Process(served.process.pid)
    page = next(child for child in server.children() if "mcnb.service.page" in child.cmdline())
    kernels = page.children(recursive=True)
    assert kernels
    for process in (server, page, *kernels):
        assert not any("torch" in found.path for found in process.memory_maps())


def test_without_a_token_the_seeds_curl_works_as_written(place: Path, models: Models) -> None:
    file = write_document(place / "open", models.poet)
    with running(file, "--no-token", MCNB_HOME=str(place)) as up:
        assert "warning: no token is asked for" in up.said
        assert "Authorization" not in up.said
        body = '{"input": {"prompt": "Once upon a time in a distant galaxy"}}'
        command = ["curl", "-s", "-X", "POST", f"http://localhost:{up.port}/api/workflows/runs"]
        command += ["-H", "Content-Type: application/json", "-d", body]
        done = subprocess.run(command, capture_output=True, timeout=120)
        assert json.loads(done.stdout)["output"]["generated"].startswith("Once upon a time in a distant galaxy")
        # what a page of another site can make a browser send
        form = {"Content_Type": "application/x-www-form-urlencoded"}
        for signs in ({"Origin": "http://evil.example"}, {"Sec_Fetch_Site": "cross-site"}, {"Host": "evil.example"}):
            assert up.ask("POST", "/api/workflows/runs", "input[prompt]=x", **form, **signs)[0] in (403, 404)
        assert len(up.ask("GET", "/api/workflows/runs")[1]["runs"]) == 1
        assert up.end(signal.SIGTERM) == (0, "")


def test_detached_stopped_and_started_again(place: Path, models: Models) -> None:
    home = place / "detached"
    file = write_document(place / "away", models.poet, controller={"port": 8080, "base_path": ""})
    started = mcnb(home, "up", "-d", "-f", file, "--port", "0", "-e", "UNUSED=hidden-value")
    assert started.returncode == 0, started.stderr
    assert started.stdout.decode().rstrip().endswith("stops it")
    state = json.loads(next((home / "services").glob("*.json")).read_text())
    try:
        assert "hidden-value" not in " ".join(psutil.Process(state["pid"]).cmdline())
        port = int(state["address"].rpartition(":")[2])
        for root in ("", "/api"):  # the controller's base path is the root
            path = f"{root}/workflows/runs"
            status, body = ask(port, "POST", path, {"input": {"prompt": FIRST_LINE}}, token=state["token"])
            assert (status, body["status"]) == (200, "completed")
    finally:
        stopped = mcnb(home, "down")
    assert stopped.stdout.decode() == f"{state['name']} is stopped\n"
    assert started_at(state["pid"]) is None
    assert mcnb(home, "ps").stdout == b"no service is running; 'mcnb up' starts one\n"
    assert mcnb(home, "down").returncode == 2
    assert b"stopping" in mcnb(home, "logs", "away").stdout  # the log of what was stopped
    with running(file, MCNB_HOME=str(home)) as up:
        assert len(up.ask("GET", "/api/workflows/runs")[1]["runs"]) == 2


def test_several_files_are_one_document_with_the_values_of_the_command(place: Path, models: Models) -> None:
    text = "${env.WORD} ${env.OTHER} ${input.prompt as text}"
    component = {"model": str(models.poet), "text": text, "max_output_length": 2}
    first = write_document(place / "several", models.poet, component=component)
    second = place / "several" / "more.yml"
    second.write_text("workflow: {title: Renamed}\n")
    values = place / "several" / "values.env"
    values.write_text("WORD=beside\nOTHER=from-a-file\n")
    options = ["-f", str(second), "--env-file", str(values), "-e", "WORD=given"]
    with running(first, *options, MCNB_HOME=str(place)) as up:
        assert [item["title"] for item in up.ask("GET", "/api/workflows")[1]] == ["Renamed"]
        status, body = up.run("end")
        assert status == 200
        assert body["output"]["generated"].startswith("given from-a-file end")


def test_what_a_killed_service_left_is_cleaned_up(place: Path, models: Models) -> None:
    home = place / "killed"
    file = write_document(place / "left", models.poet, controller=WEB)
    with running(file, MCNB_HOME=str(home)) as up:
        assert up.run(FIRST_LINE)[0] == 200
        family = psutil.Process(up.process.pid).children(recursive=True)
        assert len(family) >= 3  # the page, its kernel, the runtime kernel
        up.end(signal.SIGKILL)
        until(lambda: not any(member.is_running() and member.status() != "zombie" for member in family))
        assert len(list((home / "services").glob("*.json"))) == 1
        assert mcnb(home, "ps").stdout == b"no service is running; 'mcnb up' starts one\n"
        assert list((home / "services").glob("*.json")) == []


def test_the_second_signal_ends_it_at_once(place: Path, marathon: Path) -> None:
    home = place / "twice"
    file = write_document(
        place / "long",
        marathon,
        controller={"adapter": {}, "shutdown_timeout": "600s"},
        component={"model": str(marathon), "text": "${input.prompt as text}", "max_output_length": 8000},
    )
    with running(file, MCNB_HOME=str(home)) as up:
        path = next((home / "services").glob("*.log"))
        status, body = up.run(FIRST_LINE, wait_for_completion=False)
        assert status == 202
        until(lambda: up.ask("GET", f"/api/workflows/runs/{body['run_id']}")[1]["status"] == "processing")
        up.process.send_signal(signal.SIGINT)
        until(lambda: "stopping: SIGINT" in path.read_text())
        assert up.ask("GET", "/api/health")[0] == 503  # it still answers, and takes nothing new
        assert up.run(FIRST_LINE)[0] == 503
        code, _ = up.end(signal.SIGINT)
        assert code == 1
        assert list((home / "services").glob("*.json")) == []


def test_a_wrong_document_is_told_as_everywhere(place: Path) -> None:
    file = place / "wrong.yml"
    file.write_text("controller: {adapter: {prot: 1}}\ncomponent: {model: a/b, text: a}\n")
    for more in ([], ["-d"]):
        done = mcnb(place, "up", "-f", file, *more)
        assert done.returncode == 2
        assert f"{file}:1:" in done.stderr.decode()
        assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("options", [["--host", "0.0.0.0"], ["--host", "0.0.0.0", "-d"], []])
def test_without_a_token_only_this_machine_may_ask(place: Path, models: Models, options: list[str]) -> None:
    controller = {"adapter": {"host": "127.0.0.1" if options else "0.0.0.0"}}
    file = write_document(place / "everyone", models.poet, controller=controller)
    done = mcnb(place, "up", "-f", file, "--no-token", *options)
    assert done.returncode == 2
    assert b"may only listen on this machine" in done.stderr


def test_the_token_of_the_environment(place: Path, models: Models) -> None:
    file = write_document(place / "own", models.poet)
    token = "my-own-token-0123456789"
    with running(file, MCNB_HOME=str(place), MCNB_TOKEN=token) as up:
        assert up.token == token
        assert up.ask("GET", "/api/workflows")[0] == 200


def test_services_that_are_not_there(place: Path) -> None:
    home = place / "empty"
    for arguments in (["down", "x"], ["logs", "x"], ["logs"], ["down", "x", "--all"]):
        done = mcnb(home, *arguments)
        assert done.returncode == 2
        assert done.stderr.startswith(b"error: ")
    assert mcnb(home, "down", "--all").returncode == 0


def test_its_sockets_are_not_inherited(served: Up) -> None:
    """A runtime kernel that outlives a killed service would keep the port otherwise."""
    assert served.run(FIRST_LINE)[0] == 200
    server = psutil.Process(served.process.pid)
    for child in server.children(recursive=True):
        listening = [item.laddr.port for item in child.net_connections() if item.status == psutil.CONN_LISTEN]
        assert served.port not in listening
