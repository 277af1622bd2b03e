"""Who may ask: every method of every route, without a token, from another site, without permission."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from jupyter_server.auth import Authorizer

from mcnb.server.routes import ROUTES, Route, handlers
from tests.server.http.conftest import Serve, Served
from tests.server.jupyter import TOKEN

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
"""OPTIONS is answered to everybody by the base class: a browser's preflight carries no token."""
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def address(route: Route, mount: str = "api") -> str:
    return f"{mount}/{route.path}".replace("{workflow_id}", "write").replace("{run_id}", "nobody")


def walk() -> Iterator[tuple[str, Route]]:
    for route in ROUTES:
        for method in METHODS:
            yield method, route


def anonymous(server: Served, **options: Any) -> httpx.Client:
    return httpx.Client(base_url=server.url, trust_env=False, timeout=60, **options)


class Closed(Authorizer):
    """Lets nobody do anything, and notes what was asked."""

    asked: list[tuple[str, str]] = []  # noqa: RUF012

    def is_authorized(self, handler: Any, user: Any, action: str, resource: str) -> bool:
        self.asked.append((action, resource))
        return False


def is_refusal(reply: httpx.Response) -> bool:
    """Whether a reply says in our words that it is refused; HEAD has no words."""
    return reply.request.method == "HEAD" or reply.json()["error"]["code"] in ("forbidden", "not_found")


def test_every_route_is_in_the_table(server: Served) -> None:
    """What Tornado has of ours is what the table has, and nothing else answers under our names."""
    ours = {
        rule.matcher.regex.pattern.rstrip("$")
        for rule in _rules(server.app.web_app)
        if rule.target.__module__.startswith("mcnb.")
    }
    assert ours == {f"/a%40b{pattern}" for pattern, _, _ in handlers("/api", None)}
    for method, route in walk():
        reply = server.http.request(method, address(route))
        assert (reply.status_code == 405) == (method not in route.operations), (method, route.path, reply.text)
        if reply.status_code == 405:
            assert reply.headers["Allow"] == ", ".join((*route.operations, "OPTIONS"))


def _rules(app: Any) -> Iterator[Any]:
    todo = list(app.default_router.rules)
    while todo:
        rule = todo.pop()
        inner = getattr(rule.target, "rules", None)
        if inner is not None:
            todo += inner
        elif isinstance(rule.target, type):
            yield rule


@pytest.mark.parametrize("strict", [False, True])
def test_without_a_token_nothing_is_answered(serve: Serve, strict: bool) -> None:
    """Also with Jupyter's default, which leaves it to the handlers to ask for a token."""
    server = serve(config={"ServerApp": {"allow_unauthenticated_access": not strict}})
    with anonymous(server) as client:
        for method, route in walk():
            for headers in ({}, {"Authorization": "token wrong"}):
                reply = client.request(method, address(route), headers=headers)
                unknown = method not in route.operations and not strict
                assert reply.status_code in ((403, 405) if unknown else (403,)), (method, route.path)
                assert reply.status_code == 405 or is_refusal(reply)
        assert client.get("api/workflows/no/such/thing").status_code in (403, 404)


def test_a_cookie_alone_changes_nothing(server: Served) -> None:
    """A browser that has logged in sends its cookie with other sites' forms too."""
    with anonymous(server) as client:
        client.get("api/status", params={"token": TOKEN})
        assert client.get("api/workflows").status_code == 200
        assert client.cookies, "the login left no cookie"
        for method, route in walk():
            if method in ("GET", "HEAD"):
                continue
            reply = client.request(method, address(route), headers=FORM, content=b"input[prompt]=x")
            assert reply.status_code == 403, (method, route.path)
        client.get("no-such-page")  # a page of the server itself: it brings the XSRF token
        here = {"Origin": server.url.partition("/a%40b")[0]}
        token = client.cookies["_xsrf"]
        allowed = client.post(
            "api/workflows/runs", json={"input": {"prompt": "x"}}, headers={"X-XSRFToken": token, **here}
        )
        assert allowed.status_code == 200, allowed.text
    assert len(server.http.get("api/workflows/runs").json()["runs"]) == 1


def test_other_sites_are_refused(server: Served) -> None:
    """Also where authentication is by a cookie, which browsers send along."""
    with anonymous(server) as client:
        client.get("api/status", params={"token": TOKEN})
        for origin in ("https://evil.example", "null"):
            for method, route in walk():
                reply = client.request(method, address(route), headers={"Origin": origin})
                assert reply.status_code in (403, 404), (method, route.path, origin)
                assert is_refusal(reply)
                assert reply.headers.get("Access-Control-Allow-Origin") not in ("*", origin)
    assert server.http.get("api/workflows/runs").json()["runs"] == []


def test_every_route_asks_for_permission(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Closed, "asked", [])
    server = serve(config={"ServerApp": {"authorizer_class": Closed}})
    for route in ROUTES:
        for method in route.operations:
            Closed.asked.clear()
            reply = server.http.request(method, address(route))
            assert reply.status_code == 403, (method, route.path)
            assert is_refusal(reply)
            resource = "runs" if "run" in route.path or route.path.startswith("tasks") else "workflows"
            assert Closed.asked == [("read" if method == "GET" else "write", resource)], (method, route.path)


class TestOpen:
    """Without authentication, as ``mcnb up --no-token`` serves on loopback."""

    @pytest.fixture
    def open(self, serve: Serve) -> Served:
        return serve(token="", base_url="/")

    def test_the_curl_of_the_guide_works(self, open: Served) -> None:
        for _ in range(2):  # no cookie is left behind that would make the second one look like a browser's
            reply = open.run("x")
            assert reply.status_code == 200, reply.text
            assert "Set-Cookie" not in reply.headers
        assert not open.http.cookies

    @pytest.mark.parametrize(
        "signs",
        [
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
            {"Sec-Fetch-Site": "same-site"},
            {"Referer": "https://evil.example/page"},
            {"Cookie": "_xsrf=guess"},
        ],
    )
    def test_a_page_of_another_site_cannot_run_anything(self, open: Served, signs: dict[str, str]) -> None:
        for route in ROUTES:
            for method in set(route.operations) - {"GET"}:
                reply = open.http.request(method, address(route), headers={**FORM, **signs}, content=b"input[prompt]=x")
                assert reply.status_code in (403, 404), (method, route.path)
                assert is_refusal(reply)
                assert "Access-Control-Allow-Origin" not in reply.headers
        assert open.http.get("api/workflows/runs").json()["runs"] == []

    def test_a_name_that_points_here_is_not_this_server(self, open: Served) -> None:
        """A page can make its own name mean 127.0.0.1; its requests then carry that name."""
        reply = open.http.post(
            "api/workflows/runs", json={"input": {"prompt": "x"}}, headers={"Host": "evil.example:8888"}
        )
        assert reply.status_code == 403


def test_addresses_that_are_none(server: Served) -> None:
    for path in ("workflows/a/b/c", "workflows/runs/x/y", "tasks/x/retry", "tasks/", "workflows/%ff/schema"):
        for method in ("GET", "POST"):
            reply = server.http.request(method, f"api/{path}")
            assert reply.status_code in (400, 404, 405), path
            assert reply.json()["error"]["code"] in ("not_found", "bad_request", "method_not_allowed")
    assert server.http.request("TRACE", "api/workflows").status_code == 405


def test_no_reply_tells_where_the_server_has_its_files(server: Served, folders: Path) -> None:
    (folders / "model-compose.yml").write_text("component: {model: 3")
    for reply in (
        server.run("x", workflow_id="../../etc/passwd"),
        server.http.get("api/workflows/%2e%2e%2f%2e%2e%2fetc"),
        server.http.get("api/workflows/runs/%2e%2e%2fx"),
        server.http.post("api/workflows/runs", content=b"{", headers={"Content-Type": "application/json"}),
    ):
        assert reply.status_code in (400, 404)
        assert str(folders) not in reply.text
        assert "Traceback" not in reply.text


def test_a_defect_tells_nothing(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    from mcnb.server.keeper import RunKeeper

    async def broken(self: RunKeeper, run_id: str) -> None:
        raise RuntimeError("the secret is 42")

    monkeypatch.setattr(RunKeeper, "find", broken)
    reply = server.http.get("api/workflows/runs/x")
    assert reply.status_code == 500
    assert reply.json()["error"]["code"] == "internal"
    assert "42" not in reply.text
