"""The server: runs of compose files at ``/api/workflows/runs`` of a Jupyter server.

==============  =============================================================================
``extension``   the ExtensionApp: its settings, starting and stopping
``services``    store, compose files, kernels and keeper, opened and closed together
``routes``      the table of routes: registers the handlers, and ``openapi`` is made from it
``handlers``    one class for each route
``bodies``      what clients send: ``json_text``, ``forms``, queries; checked by models
``replies``     what they are answered, and which error has which status
``sse``         events as a stream
``watching``    who waits for which run
``metrics``     what ``/metrics`` shows
``keeper``      takes runs, keeps them, hands them to kernels; ``catalog``: the compose files
``store``       runs and their events in SQLite
``kernels``     the runtime kernel, attached kernels, the link to them
==============  =============================================================================

Installing the package enables the extension in every Jupyter server of the environment. The process of the server
never imports torch: models live in kernels.
"""

from __future__ import annotations

from typing import Any


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    from mcnb.server.extension import McnbExtension

    return [{"module": "mcnb.server", "app": McnbExtension}]
