"""Why a gateway did not start a kernel, in one sentence."""

from __future__ import annotations

from typing import Any

import pytest
from jupyter_server.gateway.gateway_client import GatewayClient
from jupyter_server.gateway.managers import GatewayMappingKernelManager
from tornado.web import HTTPError

from mcnb.server.kernels.gateway import not_started


@pytest.fixture
def manager() -> Any:
    GatewayClient.clear_instance()
    GatewayClient.instance(url="http://someone:secret@gpu-box:8888/")
    yield GatewayMappingKernelManager()
    GatewayClient.clear_instance()


def _http(status: int, *said: str) -> HTTPError:
    return HTTPError(status, "Error from Gateway: [%s] %s. ", *said)


def _refused() -> HTTPError:
    error = HTTPError(503, "ConnectionError was received from Gateway server url '%s'.", "http://gpu-box:8888")
    error.__cause__ = ConnectionRefusedError(111, "Connection refused")
    return error


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (_refused(), "the kernel gateway http://gpu-box:8888 cannot be reached (Connection refused); start it, or"),
        (_http(599, "Timeout while connecting", "x"), "cannot be reached (599: Timeout while connecting); start it"),
        (OSError("no route"), "the kernel gateway http://gpu-box:8888 cannot be reached (no route); start it"),
        (_http(401, "Unauthorized", "x"), "asks for another token; JUPYTER_GATEWAY_AUTH_TOKEN has"),
        (
            _http(403, "Resource Limit", "x"),
            "could not start the kernel 'python3' (403: Resource Limit); GET http://gpu",
        ),
        (_http(500, "No such kernel named python3", "x"), "(500: No such kernel named python3)"),
    ],
)
def test_why_a_kernel_could_not_be_started(manager: Any, error: Exception, told: str) -> None:
    said = str(not_started(manager, "python3", error))
    assert told in said
    assert "secret" not in said
