"""What runs in a visitor's kernel: the form, on the service's API. No model is ever loaded here."""

from __future__ import annotations

import html
import os
from typing import Any

from mcnb.errors import McnbError
from mcnb.notebook.form import RunForm
from mcnb.service.page.settings import API_ADDRESS, API_TOKEN

ALLOWED = frozenset({"run", "stop", "resume", "select", "repeat", "code", "sync", "dice"})


class PageForm(RunForm):
    """A form for visitors: one run at a time.

    Batches read files and variables, and write variables, of the machine the page comes from: none of a visitor's
    business, whatever their browser asks for.
    """

    def _receive(self, widget: Any, content: Any, buffers: Any) -> None:
        if isinstance(content, dict) and content.get("type") in ALLOWED:
            super()._receive(widget, content, buffers)


def show_form() -> None:
    """Display the form of the service, or one sentence about what is in its way."""
    from IPython.display import HTML, display

    try:
        display(service_form())
    except McnbError as error:
        display(HTML(f'<p class="mcnb-page-problem" role="alert">{html.escape(str(error))}</p>'))


def service_form() -> PageForm:
    """Return the form of the service that the environment names.

    Raises
    ------
    McnbError
        When the service does not answer.
    """
    from mcnb.client import connect

    return PageForm(connect(os.environ[API_ADDRESS], os.environ.get(API_TOKEN) or None))
