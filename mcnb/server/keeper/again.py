"""Doing a finished run again."""

from __future__ import annotations

from dataclasses import replace

from mcnb.server.catalog import Catalog
from mcnb.server.keeper.checks import Checked, check_run
from mcnb.server.keeper.documents import from_store
from mcnb.server.keeper.intake import Check
from mcnb.server.keeper.request import RunRequest, Settings
from mcnb.server.store import StoredDocument, StoredRun


def again(row: StoredRun, stored: StoredDocument, catalog: Catalog, settings: Settings) -> tuple[RunRequest, Check]:
    """Return the request for a run like another one, and what checks it.

    It is checked as every request is: the server's bounds may have changed. The seed is the one that was drawn, and
    stays a drawn one: a seed that the document says goes before it, as it did.
    """
    asked = row.request
    request = RunRequest(
        input=asked["input"],
        parameters=asked["parameters"],
        timeout=asked["timeout"],
        priority=row.priority,
        kernel_id=row.kernel_id,
        session_id=row.session_id,
        metadata=row.metadata,
    )

    def check() -> Checked:
        document = from_store(stored, catalog)
        checked = check_run(request, row.workflow, document, asked["workflow"], settings)
        same = {"seed": asked["seed"], "timeout": asked["timeout"]}
        return replace(checked, request={**checked.request, **same})

    return request, check
