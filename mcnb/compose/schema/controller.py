"""``controller``: where ``mcnb up`` listens. Nothing else reads it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mcnb.compose.schema.base import Part
from mcnb.compose.schema.limits import Several
from mcnb.compose.schema.scalars import IS_INTEGER, Duration

Port = Annotated[int, Field(ge=1, le=65535), IS_INTEGER]


class Adapter(Part):
    """One address the workflows are served on."""

    type: Literal["http-server"] = "http-server"
    host: str = "127.0.0.1"
    port: Port = 8080
    base_path: str = ""
    origins: str | None = None


class WebUI(Part):
    """The run form as a web page. ``driver`` is accepted for compatibility: mcnb draws its own form."""

    driver: Literal["gradio", "static", "dynamic"] = "gradio"
    host: str = "127.0.0.1"
    port: Port = 8081
    server_dir: str | None = None
    static_dir: str | None = None


class Controller(Part):
    """The server's settings."""

    name: str | None = None
    adapters: Annotated[tuple[Adapter, ...], Several()] = ()
    webui: WebUI | None = None
    max_concurrent_count: Annotated[int, Field(ge=0), IS_INTEGER] = 0
    shutdown_timeout: Duration | None = None
    threaded: bool | None = None
