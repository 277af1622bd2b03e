"""Where a text comes from: what a record keeps of the document, the libraries and the machine."""

from __future__ import annotations

import functools
import hashlib
import json
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from mcnb.compose import Document
from mcnb.runtime.redaction import without_tokens

LIBRARIES = ("mcnb", "torch", "transformers", "tokenizers", "huggingface_hub", "safetensors", "numpy")


def describe_document(document: Document) -> dict[str, Any]:
    """Return what a record keeps of a document."""
    return {
        "digest": document.digest,
        "files": list(document.files),
        "folder": str(document.folder),
        "source": without_tokens(document.source),
        "env": sorted(document.env),
    }


def sha256(value: Any) -> str:
    """Return the SHA-256 of a text, or of JSON data in canonical form."""
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def versions() -> dict[str, str]:
    """Return the versions of Python and the libraries that make a text."""
    return dict(_versions())


@functools.cache  # what was imported stays what it is; looking it up takes milliseconds, of every run
def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def hardware() -> dict[str, Any]:
    """Return what machine this is."""
    import os

    return {"machine": platform.machine(), "system": platform.system(), "cpus": os.cpu_count()}
