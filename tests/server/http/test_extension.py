"""The extension: starting, failing to start, stopping, addresses, metrics, several servers."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import threading
from pathlib import Path
from typing import Any

import pytest

from mcnb.server.services import databases
from mcnb.server.store import RunStore
from tests.server.http.conftest import Serve, Served

RUNS = "api/workflows/runs"


def test_installing_the_package_enables_it() -> None:
    import mcnb.server

    root = Path(__file__).parents[3]
    (enabled,) = json.loads((root / "jupyter-config/server-config/mcnb.json").read_text()).values()
    assert enabled == {"jpserver_extensions": {"mcnb.server": True}}
    (point,) = mcnb.server._jupyter_server_extension_points()
    assert point["app"].name == "mcnb"


def test_every_setting_is_documented() -> None:
    from mcnb.server.extension import McnbExtension

    own = McnbExtension.class_own_traits(config=True)
    assert {"compose_files", "database", "kernel_name", "queue_length", "max_timeout", "retention_age"} <= own.keys()
    assert all(trait.help for trait in own.values())


def test_compose_files_are_named_or_found(serve: Serve, folders: Path) -> None:
    (folders / "more").mkdir()
    (folders / "model-compose.yml").rename(folders / "more" / "one.yml")
    assert serve().http.get("api/workflows").json() == []
    server = serve({"compose_files": ["more", str(folders / "more" / "one.yml")]})
    assert [item["workflow_id"] for item in server.http.get("api/workflows").json()][:2] == ["write", "typed"]


def test_health_and_readiness(serve: Serve, folders: Path) -> None:
    server = serve()
    assert server.http.get("api/health").json() == {"status": "ok"}
    ready = server.http.get("api/workflows/ready")
    assert (ready.status_code, ready.json()["ready"]) == (200, True)
    (folders / "model-compose.yml").unlink()
    empty = serve({"database": str(folders / "other.db")})
    ready = empty.http.get("api/workflows/ready")
    assert (ready.status_code, ready.json()["ready"]) == (503, False)
    assert ready.json()["problems"]


def test_another_path_leads_there_too(serve: Serve) -> None:
    server = serve({"base_path": "/v1/llm/"})
    for mount in ("api", "v1/llm"):
        reply = server.http.post(f"{mount}/workflows/runs", json={"input": {"prompt": "x"}})
        assert reply.headers["Location"] == f"/a%40b/{mount}/workflows/runs/{reply.json()['run_id']}"
        assert server.app.web_app is not None
        assert server.http.get(f"{mount}/health").status_code == 200
        assert server.http.get(f"{mount}/workflows/no/such").json()["error"]["code"] == "not_found"


def test_the_root_is_a_path_as_well(serve: Serve) -> None:
    server = serve({"base_path": "/"}, base_url="/")
    reply = server.http.post("workflows/runs", json={"input": {"prompt": "x"}})
    assert reply.headers["Location"] == f"/workflows/runs/{reply.json()['run_id']}"
    assert server.run("x").headers["Location"].startswith("/api/workflows/runs/")
    assert server.http.get("api/status").status_code == 200


def test_a_store_that_cannot_be_opened_leaves_the_server_up(
    serve: Serve, folders: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folders / "runs.db").write_text("this is no database" * 100)
    server = serve({"database": "runs.db"})
    assert server.http.get("api/status").status_code == 200
    for path in ("workflows", "health", "workflows/runs", "workflows/ready"):
        reply = server.http.get(f"api/{path}")
        assert reply.status_code == 503
        assert reply.json()["error"]["message"].startswith("mcnb could not start: ")
        assert "runs.db" in reply.json()["error"]["message"]
        assert str(folders) not in reply.text
        assert "Retry-After" in reply.headers
    assert server.run("x").status_code == 503


def test_a_slow_start_holds_nothing_up(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = threading.Event()
    open_store = RunStore.open

    def slow(path: Path, **options: Any) -> RunStore:
        assert opened.wait(60)
        return open_store(path, **options)

    monkeypatch.setattr(RunStore, "open", slow)
    server = serve()
    assert server.http.get("api/status").status_code == 200
    found: list[int] = []
    asking = threading.Thread(target=lambda: found.append(server.run("x").status_code))
    asking.start()
    assert server.http.get("api/status").status_code == 200
    assert not found
    opened.set()
    asking.join(60)
    assert found == [200]


def test_servers_on_one_root_do_not_share_a_database(serve: Serve, folders: Path, tmp_path: Path) -> None:
    first, second = serve(), serve()
    run_id = first.run("x").json()["run_id"]
    assert second.http.get(f"{RUNS}/{run_id}").status_code == 404
    names = [path.name for path in databases(tmp_path / "data", folders)[:2]]
    assert {path.name for path in (tmp_path / "data" / "mcnb").glob("*.db")} == set(names)
    first.close()
    assert serve().http.get(f"{RUNS}/{run_id}").json()["status"] == "completed"


def test_stopping_ends_what_runs_and_tells_those_who_wait(serve: Serve, folders: Path) -> None:
    server = serve({"running": 1})
    held = server.held()
    replies: list[Any] = []

    def ask(**body: Any) -> threading.Thread:
        def send() -> None:
            with server.client() as client:
                replies.append(client.post(RUNS, json={"input": {"prompt": "later"}, **body}))

        thread = threading.Thread(target=send)
        thread.start()
        return thread

    waiting = ask(session_id="waits")
    while not server.http.get(RUNS, params={"session_id": "waits"}).json()["runs"]:
        pass
    server.close()
    waiting.join(60)
    (reply,) = replies
    assert reply.status_code in (202, 503)
    again = serve()
    run = again.http.get(f"{RUNS}/{held}").json()
    assert (run["status"], run["error"]["code"]) == ("failed", "server_restarted")
    (queued,) = again.http.get(RUNS, params={"session_id": "waits"}).json()["runs"]
    assert again.until(queued["run_id"], "completed")["output"]


def test_a_stopping_server_takes_nothing(server: Served) -> None:
    assert server.run("x").status_code == 200
    keeper = server.extension._start.result().keeper
    stopping = server.call(lambda: asyncio.ensure_future(keeper.stop()))
    while not server.call(stopping.done):
        pass
    health = server.http.get("api/health")
    assert (health.status_code, health.json()) == (503, {"status": "stopping"})
    refused = server.run("x")
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "server_stopping")
    assert "Retry-After" in refused.headers


def test_metrics_are_among_the_servers_own(server: Served) -> None:
    def value(name: str) -> float:
        text = server.http.get("metrics").text
        found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    names = ["mcnb_runs_accepted_total", 'mcnb_runs_finished_total{state="completed"}', "mcnb_generated_tokens_total"]
    names += ['mcnb_runs_refused_total{code="invalid_input"}', 'mcnb_run_seconds_count{state="completed"}']
    before = {name: value(name) for name in names}
    assert server.run("a b c").status_code == 200
    server.http.post(RUNS, json={})
    after = {name: value(name) - before[name] for name in names}
    assert after == dict(zip(names, [1, 1, 3, 1, 1], strict=True))
    held = server.held()
    assert value("mcnb_runs_running") == 1
    server.http.post(f"{RUNS}/{held}/cancel")
    assert value("mcnb_runs_running") == 0


def test_loading_it_twice_is_no_harm(serve: Serve) -> None:
    first = serve()
    first.close()
    assert serve().run("x").status_code == 200


def test_activity_is_runs_not_polling(server: Served) -> None:
    assert server.call(server.extension.current_activity) is None
    held = server.held()
    assert server.call(server.extension.current_activity) == {"runs": 1}

    def activity() -> Any:
        return server.app.web_app.settings["api_last_activity"]

    before = activity()
    for path in (f"{RUNS}/{held}", f"api/tasks/{held}", "api/health", "api/workflows/ready"):
        assert server.http.get(path).status_code == 200
    assert activity() == before
    server.http.post(f"{RUNS}/{held}/cancel")
    assert activity() > before


def test_what_callers_do_wrong_fills_no_log(server: Served, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        server.http.post(RUNS, content=b"{secret", headers={"Content-Type": "application/json"})
    assert "secret" not in caplog.text
    assert "Traceback" not in caplog.text
