"""Documents as rows keep them, and back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mcnb.compose import Document, document_from_source
from mcnb.errors import DocumentError
from mcnb.runtime.redaction import blacken, without_blackened, without_tokens
from mcnb.server.catalog import Catalog
from mcnb.server.secrets import secrets_of_source
from mcnb.server.store import StoredDocument


def to_store(document: Document) -> StoredDocument:
    """Return what is kept of a document: neither environment values nor access tokens."""
    source = without_tokens(document.source)
    return StoredDocument(document.digest, source, str(document.folder), list(document.files))


def from_store(stored: StoredDocument, catalog: Catalog) -> Document:
    """Return the document that a run was accepted with, with the environment values of now.

    While the catalog still has the very same document, that one is taken: it knows the access tokens that stand in
    it, which are not stored. Large documents take a while: call it in a thread.

    Raises
    ------
    DocumentError
        When it cannot be loaded any more; environment values are blackened.
    """
    for entry in catalog.entries:
        if entry.document.digest == stored.digest and str(entry.document.folder) == stored.folder:
            return entry.document
    source = without_blackened(stored.source)
    folder = Path(stored.folder)
    try:
        document = document_from_source(source, folder, catalog.environment)
    except DocumentError as error:
        raise _told(error, secrets_of_source(source, folder, catalog.environment)) from error
    return replace(document, files=tuple(stored.files))


def _told(error: DocumentError, secrets: tuple[str, ...]) -> DocumentError:
    """Return the error without secrets, and without places in a file that is not what was read."""
    return DocumentError(
        [
            replace(
                problem, location=None, message=blacken(problem.message, secrets), hint=blacken(problem.hint, secrets)
            )
            for problem in error.problems
        ]
    )
