"""``controller``: where ``mcnb up`` listens. Nothing else reads it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mcnb.compose.schema.base import Part
from mcnb.compose.schema.limits import Several
from mcnb.compose.schema.scalars import COMPATIBLE, IS_INTEGER, SPAN, Duration

Port = Annotated[int, Field(ge=1, le=65535), IS_INTEGER]


class Adapter(Part):
    """One address the workflows are served on."""

    type: Literal["http-server"] = Field(default="http-server", description="The only kind there is.")
    host: str = Field(
        default="127.0.0.1", description="The address to listen on; others than this machine's need a token."
    )
    port: Port = Field(default=8080, description="The port of the API.")
    base_path: str = Field(default="", description="What stands before the routes; `/api` where there is no adapter.")
    origins: str | None = Field(
        default=None, description="Sites whose pages may send requests, with commas between; `*` is not honoured."
    )


class WebUI(Part):
    """The run form as a web page. ``driver`` is accepted for compatibility: mcnb draws its own form."""

    driver: Literal["gradio", "static", "dynamic"] = Field(default="gradio", description=COMPATIBLE)
    host: str = Field(default="127.0.0.1", description="The address to listen on.")
    port: Port = Field(default=8081, description="The port of the web page.")
    server_dir: str | None = Field(default=None, description=COMPATIBLE)
    static_dir: str | None = Field(default=None, description=COMPATIBLE)


class Controller(Part):
    """The server's settings."""

    name: str | None = Field(default=None, description="A name for people.")
    adapters: Annotated[tuple[Adapter, ...], Several()] = Field(
        default=(), description="Where the API listens; the first one counts."
    )
    webui: WebUI | None = Field(default=None, description="The form as a web page; none without this key.")
    max_concurrent_count: Annotated[int, Field(ge=0), IS_INTEGER] = Field(
        default=0, description="Runs that the models are given at a time; 0 leaves it at 32."
    )
    shutdown_timeout: Duration | None = Field(
        default=None, description="What running runs are given to end when the server stops; 10 s unless given. " + SPAN
    )
    threaded: bool | None = Field(default=None, description=COMPATIBLE)
