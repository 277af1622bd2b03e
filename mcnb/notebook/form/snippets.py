"""A run of the form as code: the same run as a magic, in Python, over HTTP and as a command."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from keyword import iskeyword
from pprint import pformat
from typing import Any

import yaml

from mcnb.compose import Document, Inputs, parse_text_value
from mcnb.errors import InvalidInputError
from mcnb.runtime import Record

LONGEST_WORD = 100
"""Characters of a value that still stands on the line of a magic or command."""

SERVER = "http://localhost:8888"


def snippets(
    document: Document, record: Record, parameters: Mapping[str, Any], served: tuple[str, str] | None = None
) -> dict[str, str]:
    """Write a run as code; each piece gives the same text.

    Parameters
    ----------
    document : Document
        The form's.
    record : Record
        Of the run.
    parameters : mapping
        The generation parameters that were set for it, without the seed.
    served : tuple of str, str, optional
        The address of the server that computed it, and the workflow's id there.

    Returns
    -------
    dict
        ``magic, python, curl, command``.
    """
    url, known_as = served or (None, record.workflow)
    name = None if known_as.startswith("__") else known_as
    files = [file for file in document.files if not file.startswith("<")]
    inputs = document.inputs(record.workflow)
    fits = all(_fits_a_word(inputs, key, value) for key, value in record.input.items())
    return {
        "magic": _magic(name, files, record, parameters, url, fits=fits),
        "python": _python(name, files, record, parameters, url),
        "curl": _curl(name, record, parameters, url or SERVER),
        "command": _command(name, files, record, parameters, url, fits=fits),
    }


def _magic(
    name: str | None,
    files: Sequence[str],
    record: Record,
    parameters: Mapping[str, Any],
    url: str | None,
    *,
    fits: bool,
) -> str:
    options = [*_files(files), *([name] if name else [])]
    settings = [*_pairs("-p", parameters), "--seed", str(record.seed)]
    if fits and all(_fits_a_line(value) for value in record.input.values()):
        connect = f"%compose connect {url}\n" if url else ""
        return connect + " ".join(["%compose", "run", *options, *_pairs("-i", record.input), *settings])
    body = yaml.safe_dump(record.input, allow_unicode=True, sort_keys=False, width=LONGEST_WORD).rstrip()
    return " ".join(["%%compose", "run", *options, *settings]) + "\n" + body


def _python(
    name: str | None, files: Sequence[str], record: Record, parameters: Mapping[str, Any], url: str | None
) -> str:
    plain = all(key.isidentifier() and not iskeyword(key) and key not in _RESERVED for key in record.input)
    given = [repr(name)] if name else []
    if plain:
        given += [f"{key}={_literal(value)}" for key, value in record.input.items()]
    else:
        given.append(f"input={_literal(record.input)}")
    if parameters:
        given.append(f"parameters={_literal(dict(parameters))}")
    given.append(f"seed={record.seed}")
    call = f"compose.run({', '.join(given)})"
    if len(call) > LONGEST_WORD:
        lines = "".join(f"    {part},\n" for part in given)
        call = f"compose.run(\n{lines})"
    note = "" if files or url else f"# {_SAVE_IT}\n"
    loaded = f"mcnb.connect({url!r})" if url else f"mcnb.load({', '.join(map(repr, files))})"
    return f"import mcnb\n\n{note}compose = {loaded}\nrun = {call}\nrun.output"


_SAVE_IT = "the compose file was a cell: save it as model-compose.yml first"
_RESERVED = ("workflow", "input", "seed", "parameters", "timeout", "self")


def _curl(name: str | None, record: Record, parameters: Mapping[str, Any], url: str) -> str:
    body: dict[str, Any] = {"workflow_id": name} if name else {}
    body |= {"input": record.input, "seed": record.seed}
    if parameters:
        body["parameters"] = dict(parameters)
    data = shlex.quote(json.dumps(body, ensure_ascii=False))
    return (
        f"curl {url}/api/workflows/runs \\\n"
        '  -H "Authorization: token $JUPYTER_TOKEN" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        f"  -d {data}"
    )


def _command(
    name: str | None,
    files: Sequence[str],
    record: Record,
    parameters: Mapping[str, Any],
    url: str | None,
    *,
    fits: bool,
) -> str:
    place = ["--url", shlex.quote(url)] if url else _files(files)
    words = ["mcnb", "run", *place, *([name] if name else [])]
    whole = shlex.quote(json.dumps(record.input, ensure_ascii=False))
    words += _pairs("-i", record.input) if fits else ["--input", whole]
    note = "" if files or url else f"# {_SAVE_IT}\n"
    return note + " ".join([*words, *_pairs("-p", parameters), "--seed", str(record.seed)])


def _files(files: Sequence[str]) -> list[str]:
    return [word for file in files for word in ("-f", shlex.quote(file))]


def _pairs(option: str, values: Mapping[str, Any]) -> list[str]:
    return [word for key, value in values.items() for word in (option, f"{key}={shlex.quote(_text(value))}")]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _fits_a_word(inputs: Inputs, name: str, value: Any) -> bool:
    """Whether ``-i name=value`` gives this very value: 5 for an input without a type would become the text "5"."""
    try:
        read = parse_text_value(inputs, name, _text(value))
    except InvalidInputError:
        return False
    return "=" not in name and type(read) is type(value) and bool(read == value)


def _fits_a_line(value: Any) -> bool:
    text = _text(value)
    starts_like_a_variable = text.startswith("$")  # the magic would look for it in the notebook
    return len(text) <= LONGEST_WORD and text.isprintable() and not starts_like_a_variable


def _literal(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_WORD else pformat(value, width=LONGEST_WORD, sort_dicts=False)
