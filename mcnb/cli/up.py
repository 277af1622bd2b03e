"""``mcnb up``."""

from __future__ import annotations

import click

from mcnb.cli.options import environment_options
from mcnb.compose import Environment

_PORT = click.IntRange(0, 65535)


@click.command()
@click.option("-f", "--file", "files", multiple=True, metavar="FILE", help="Compose file; repeat to merge several.")
@environment_options
@click.option("--host", metavar="HOST", help="Listen here, whatever the document says.")
@click.option("--port", type=_PORT, metavar="PORT", help="Port of the API; 0 for any free one.")
@click.option("--web-port", type=_PORT, metavar="PORT", help="Port of the web page; 0 for any free one.")
@click.option(
    "--gateway-url",
    envvar="JUPYTER_GATEWAY_URL",
    metavar="URL",
    show_envvar=True,
    help="Run models at this Jupyter kernel gateway, on another machine.",
)
@click.option("--open", "open_browser", is_flag=True, help="Open the web page in a browser.")
@click.option("--no-token", is_flag=True, help="Ask for no token; on this machine's own addresses only.")
@click.option("-d", "--detach", is_flag=True, help="Give the terminal back; 'mcnb down' stops it.")
def up(
    files: tuple[str, ...],
    environment: Environment,
    host: str | None,
    port: int | None,
    web_port: int | None,
    gateway_url: str | None,
    open_browser: bool,
    no_token: bool,
    detach: bool,
) -> None:
    """Serve a compose file: its workflows over HTTP, and a form as a web page.

    It listens where the file's controller says, on port 8080 otherwise. Requests carry a token: that of the variable
    MCNB_TOKEN or JUPYTER_TOKEN, or a new one, which is printed.
    """
    from mcnb.service.installed import need_server

    need_server()
    from mcnb.service.options import ServiceOptions, chosen_token
    from mcnb.service.serving import serve, serve_detached

    options = ServiceOptions(
        files=files,
        env_files=tuple(map(str, environment.files)),
        env=dict(environment.overrides or {}),
        host=host,
        port=port,
        web_port=web_port,
        gateway_url=gateway_url or None,
        token="" if no_token else chosen_token(),
        open_browser=open_browser,
    )
    if detach:
        click.echo(serve_detached(options), nl=False)
    else:
        serve(options)
