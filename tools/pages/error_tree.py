"""The errors, from their classes."""

from __future__ import annotations

from collections.abc import Iterator

from mcnb.cli.group import BAD_INPUT, FAILED
from mcnb.errors import DocumentError, ExpressionError, InvalidInputError, McnbError
from mcnb.server.replies import status_of
from tools.pages.text import code, fence, summary, table

_INTRODUCTION = """\
# Errors

Every error that mcnb raises on purpose is in one tree, `mcnb.errors`. Its message says what is wrong, where, and what
to do next; no traceback reaches a user. `code` is the word that stands in records and in replies over HTTP.
"""

_ENDS = """
## How runs end

Every run ends in exactly one of three states: `completed`, `failed` (with `error.code` and `error.message`) or
`cancelled`. Over HTTP a failed run is told with the status in the table. The command's exit code is 0 for a completed
run, 1 for one that failed, 2 for a bad file or input and 130 for one that was interrupted.
"""

_CATCHING = """
## Catching them

"""

EXAMPLE = """\
import mcnb
from mcnb.errors import DocumentError, McnbError

try:
    mcnb.load_document(text="component: {modle: ./mine}", name="mine.yml")
except DocumentError as error:
    for problem in error.problems:
        print(problem.location, problem.message, problem.hint, sep=" | ")
except McnbError as error:
    print(error.code, error.message, error.hint)
"""


def page() -> str:
    """Return the page."""
    tree = fence("text", "\n".join(_tree(McnbError)))
    rows = table(["error", "code", "HTTP", "exit", "when"], _rows(McnbError))
    return f"{_INTRODUCTION}\n{tree}\n{rows}{_ENDS}{_CATCHING}{fence('python', EXAMPLE)}"


def _kinds(error: type[McnbError]) -> list[type[McnbError]]:
    return [kind for kind in error.__subclasses__() if kind.__module__ == McnbError.__module__]


def _tree(error: type[McnbError], lead: str = "") -> Iterator[str]:
    if not lead:
        yield error.__name__
    kinds = _kinds(error)
    for number, kind in enumerate(kinds):
        is_last = number == len(kinds) - 1
        yield f"{lead}{'└── ' if is_last else '├── '}{kind.__name__}"
        yield from (line for line in _tree(kind, lead + ("    " if is_last else "│   ")))


def _rows(error: type[McnbError]) -> Iterator[tuple[str, ...]]:
    for kind in _kinds(error):
        made = kind([]) if kind is DocumentError else kind("")
        bad = issubclass(kind, DocumentError | InvalidInputError | ExpressionError)
        name = code(kind.__name__)
        yield name, code(kind.code), str(status_of(made)), str(BAD_INPUT if bad else FAILED), summary(kind)
        yield from _rows(kind)
