"""A service in the foreground, or detached from the terminal."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
import webbrowser
from dataclasses import replace

from mcnb.compose import Document
from mcnb.errors import McnbError, ServerError, error_of
from mcnb.service import ports
from mcnb.service.announcement import announcement
from mcnb.service.config import server_config
from mcnb.service.endpoint import Endpoint, Place, endpoint_of, is_loopback, with_token
from mcnb.service.gateway import check_gateway, gateway_traits
from mcnb.service.log import ServiceLog, StandardStreams
from mcnb.service.options import TOKEN_NAMES, ServiceOptions
from mcnb.service.page.settings import PageSettings
from mcnb.service.registry import Claim, claimed, log_file, service_name, services_home
from mcnb.service.web_page import WebPage, can_show_pages

PAGE_SECONDS = 30.0


def serve(options: ServiceOptions) -> None:
    """Serve a compose file until a signal ends it; once it is ready, a few lines on the terminal say where.

    Raises
    ------
    DocumentError, InvalidInputError
        When the document is wrong, or would be served to others without a token.
    ConflictError
        When it is served already.
    ServerError
        When a port is in use, or the server cannot start.
    """
    document, endpoint = check(options)
    files = tuple(map(os.path.abspath, document.files))
    name = service_name(files)
    with claimed(name, files) as claim:
        api, sockets = ports.listen(endpoint.api, "--port")
        try:
            web = endpoint.web and ports.free(endpoint.web, "--web-port") if can_show_pages() else endpoint.web
            _Foreground(options, document, replace(endpoint, api=api, web=web), claim).run(sockets)
        finally:
            ports.close(sockets)


def serve_detached(options: ServiceOptions) -> str:
    """Start a service of its own and return what it has to say, once it is ready.

    Raises
    ------
    McnbError
        As ``serve``.
    """
    check(options)
    process = subprocess.Popen(
        [sys.executable, "-m", "mcnb.service"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    if process.stdin is None or process.stdout is None or process.stderr is None:
        raise AssertionError("all are pipes")
    with process.stdin, process.stdout, process.stderr:
        process.stdin.write(replace(options, detached=True).to_json().encode())
        process.stdin.close()
        said = process.stdout.read().decode()  # its end: the service is ready, or over
        if said:
            return said
        code, _, message = process.stderr.read().decode().strip().partition(" ")
    process.wait()
    raise error_of(code, message or "the service ended at once")


def check(options: ServiceOptions) -> tuple[Document, Endpoint]:
    """Return the document and where it will be served, or raise what is wrong with either."""
    document = options.document()
    check_gateway(options.gateway_url)
    return document, endpoint_of(document, options)


class _Foreground:
    """One service, in this process."""

    def __init__(self, options: ServiceOptions, document: Document, endpoint: Endpoint, claim: Claim) -> None:
        self._options = options
        self._document = document
        self._endpoint = endpoint
        self._claim = claim
        self._name = claim.service.name
        self._log = ServiceLog(log_file(self._name), [endpoint.token])
        self._page: WebPage | None = None
        self._opened = services_home() / f"{self._name}.html"

    def run(self, sockets: list[socket.socket]) -> None:
        self._streams = StandardStreams(self._log)
        try:
            for name in TOKEN_NAMES:
                os.environ.pop(name, None)  # the kernels need none
            self._serve(sockets)
        except McnbError:
            raise
        except (Exception, SystemExit) as error:
            self._log.logger("mcnb.service").exception("the service ended")
            raise ServerError(
                f"the service ended: {error or 'no reason given'}", hint=f"see {self._log.path}"
            ) from error
        finally:
            if self._page is not None and self._page.alive:
                self._page.stop()
            self._opened.unlink(missing_ok=True)
            self._streams.restore()
            self._log.close()

    def _serve(self, sockets: list[socket.socket]) -> None:
        from mcnb.service.extension import extension_traits
        from mcnb.service.jupyter import ServiceApp

        traits = extension_traits(self._document, self._options.environment, self._endpoint, self._name)
        config = server_config(self._endpoint, traits, self._document.folder)
        config.GatewayClient = gateway_traits(self._options.gateway_url)
        app = ServiceApp(config=config)
        app.sockets = sockets
        app.handler = self._log.handler
        app.on_ready = self._ready
        app.on_finished = self._finished
        app.on_abandoned = self._abandoned
        app.initialize(argv=[], find_extensions=False)
        app.start()
        if app.failure is not None:
            raise ServerError(f"the server could not start: {app.failure}", hint=f"see {self._log.path}")

    def _ready(self) -> None:
        """Tell where everything is, now that the server answers; called in a thread."""
        endpoint = self._endpoint
        if endpoint.web is not None and can_show_pages():
            self._page = self._started_page(endpoint.web)
        form = with_token(endpoint.web.address, endpoint.token) if self._page is not None and endpoint.web else ""
        self._claim.ready(
            address=endpoint.api.address + endpoint.base_path, form=form, token=endpoint.token, since=time.time()
        )
        detached_as = self._name if self._options.detached else None
        text = announcement(
            self._document, endpoint, self._log.path, gateway=self._options.gateway_url, detached_as=detached_as
        )
        self._streams.terminal.write(text + "\n")
        self._streams.terminal.flush()
        if self._options.detached:
            self._streams.leave()
        if self._options.open_browser and form:
            self._open(form)

    def _started_page(self, web: Place) -> WebPage:
        document, endpoint = self._document, self._endpoint
        title = _title(document)
        settings = PageSettings(web.host, web.port, title, endpoint.token, local_only=is_loopback(web.host))
        page = WebPage(settings, endpoint.api.address, self._log)
        limit = time.monotonic() + PAGE_SECONDS
        while page.alive and time.monotonic() < limit and not _answers(web):
            time.sleep(0.05)
        return page

    def _open(self, address: str) -> None:
        """Open the form by a file that leads there: a browser's command line can be read by everyone."""
        descriptor = os.open(self._opened, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(f'<!doctype html><meta http-equiv="refresh" content="0; url={address}">\n')
        webbrowser.open(self._opened.as_uri())

    async def _finished(self) -> None:
        if self._page is not None:
            await asyncio.to_thread(self._page.stop)

    def _abandoned(self) -> None:
        self._claim.release()
        self._opened.unlink(missing_ok=True)
        if self._page is not None:
            self._page.kill()


def _answers(place: Place) -> bool:
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(place.host, place.host)  # noqa: S104
    try:
        socket.create_connection((host, place.port), timeout=1).close()
    except OSError:
        return False
    return True


def _title(document: Document) -> str:
    controller = document.spec.controller
    titles = [workflow.title or workflow.name for workflow in document.workflows if not workflow.private]
    return (controller.name if controller else None) or next(filter(None, titles), None) or "mcnb"
