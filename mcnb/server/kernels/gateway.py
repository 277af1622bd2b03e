"""A gateway, which keeps the kernels in the place of this server: what it says, in our words."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from mcnb.errors import KernelDiedError

UNREACHABLE = (502, 503, 504, 599)
"""The statuses of a gateway that is not there, whoever says so."""


def is_behind_gateway(kernel: Any) -> bool:
    """Return whether a kernel manager's kernel is another host's business."""
    from jupyter_server.gateway.managers import GatewayKernelManager

    return isinstance(kernel, GatewayKernelManager)


def not_started(manager: Any, name: str, error: Exception) -> KernelDiedError:
    """Return why a kernel could not be started.

    Parameters
    ----------
    manager : jupyter_server.services.kernels.kernelmanager.AsyncMappingKernelManager
        The server's; also a gateway's.
    name : str
        The kernel spec.
    error : Exception
        What the manager said.
    """
    from jupyter_server.gateway.managers import GatewayMappingKernelManager

    if not isinstance(manager, GatewayMappingKernelManager):
        hint = "'jupyter kernelspec list' shows the kernels there are"
        return KernelDiedError(f"the kernel '{name}' could not be started ({error})", hint=hint)
    place, status = address(), getattr(error, "status_code", None)
    if status in UNREACHABLE or isinstance(error, OSError):
        hint = "start it, or correct its address: --gateway-url or JUPYTER_GATEWAY_URL"
        return KernelDiedError(f"the kernel gateway {place} cannot be reached ({_reason(error)})", hint=hint)
    if status == 401:
        hint = "JUPYTER_GATEWAY_AUTH_TOKEN has to hold the gateway's token"
        return KernelDiedError(f"the kernel gateway {place} asks for another token", hint=hint)
    hint = f"GET {place}/api/kernelspecs lists the kernels it has; its log says more"
    return KernelDiedError(
        f"the kernel gateway {place} could not start the kernel '{name}' ({_reason(error)})", hint=hint
    )


def address() -> str:
    """Return the gateway's URL, without a user's name and password."""
    from jupyter_server.gateway.gateway_client import GatewayClient

    url = urlsplit(GatewayClient.instance().url or "")
    return url._replace(netloc=url.netloc.rpartition("@")[2]).geturl().rstrip("/")


def _reason(error: Exception) -> str:
    """Return the part of an error that is not advice."""
    cause = error.__cause__
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    arguments = getattr(error, "args", ())
    status = getattr(error, "status_code", None)
    said = str(arguments[0]) if arguments else str(error) or type(error).__name__
    return said if status is None else f"{status}: {said}"
