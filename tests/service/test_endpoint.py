"""Where a service listens, and what is refused."""

from __future__ import annotations

import pytest

from mcnb.errors import InvalidInputError
from mcnb.service.endpoint import Place, endpoint_of, is_loopback, with_token
from mcnb.service.options import ServiceOptions
from tests.service.documents import document

TOKEN = ServiceOptions(token="t")
NO_TOKEN = ServiceOptions()


def test_without_a_controller() -> None:
    found = endpoint_of(document(), TOKEN)
    assert (found.api, found.base_path, found.web) == (Place("127.0.0.1", 8080), "/api", None)
    assert found.api.address == "http://localhost:8080"


def test_as_the_seed_says() -> None:
    controller = {"type": "http-server", "port": 8080, "base_path": "/api", "webui": {"driver": "gradio", "port": 8081}}
    found = endpoint_of(document(controller), TOKEN)
    assert (found.api.port, found.base_path, found.web) == (8080, "/api", Place("127.0.0.1", 8081))


@pytest.mark.parametrize(("written", "expected"), [("/v1/", "/v1"), ("v1", "/v1"), ("", ""), ("/", "")])
def test_the_base_path_of_a_controller(written: str, expected: str) -> None:
    assert endpoint_of(document({"adapter": {"base_path": written}}), TOKEN).base_path == expected


def test_options_win() -> None:
    options = ServiceOptions(token="t", host="0.0.0.0", port=0, web_port=9)
    found = endpoint_of(document({"port": 5, "webui": {"port": 6}}), options)
    assert (found.api, found.web) == (Place("0.0.0.0", 0), Place("0.0.0.0", 9))


def test_limits_are_taken_over() -> None:
    found = endpoint_of(document({"max_concurrent_count": 3, "shutdown_timeout": "5s"}), TOKEN)
    assert (found.running, found.stop_grace) == (3, 5.0)
    found = endpoint_of(document({"max_concurrent_count": 0}), TOKEN)
    assert (found.running, found.stop_grace) == (None, None)


def test_no_site_is_allowed_by_a_star() -> None:
    found = endpoint_of(document({"adapter": {"origins": "*, https://a.example/ ,https://b.example"}}), TOKEN)
    assert found.any_origin
    assert found.origins == ("https://a.example", "https://b.example")


@pytest.mark.parametrize(
    "controller",
    [{"host": "0.0.0.0"}, {"host": ""}, {"host": "gpu-box"}, {"host": "::"}, {"webui": {"host": "192.168.1.5"}}],
)
def test_no_token_is_for_this_machine_alone(controller: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError, match=r"may only listen on this machine.*--no-token"):
        endpoint_of(document(controller), NO_TOKEN)
    assert endpoint_of(document(controller), TOKEN).token == "t"


def test_no_token_with_a_host_of_other_machines() -> None:
    with pytest.raises(InvalidInputError, match=r"0\.0\.0\.0 can be reached from others"):
        endpoint_of(document(), ServiceOptions(host="0.0.0.0"))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "::1", "[::1]"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)
    endpoint_of(document({"host": host}), NO_TOKEN)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "localhost.example", "127.0.0.1.example", "10.0.0.1", "::"])
def test_not_loopback(host: str) -> None:
    assert not is_loopback(host)


def test_addresses() -> None:
    assert Place("0.0.0.0", 80).address == "http://localhost:80"
    assert Place("::1", 80).address == "http://[::1]:80"
    assert Place("gpu-box", 80).address == "http://gpu-box:80"
    assert with_token("http://a:1", "a b&c") == "http://a:1/?token=a%20b%26c"
    assert with_token("http://a:1", "") == "http://a:1"


def test_options_travel() -> None:
    options = ServiceOptions(("a.yml",), ("x.env",), {"K": "v"}, "h", 1, 2, "http://far", "secret", True, True)
    assert ServiceOptions.from_json(options.to_json()) == options
    assert "secret" not in repr(options)
    assert "'v'" not in repr(options)
