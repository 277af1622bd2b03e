"""Every error mcnb raises on purpose, in one tree.

::

    McnbError                    code, message, hint
    ├── DocumentError            invalid_document    a compose file is wrong; carries every Problem found
    ├── ExpressionError          invalid_expression  a ``${...}`` cannot be parsed or evaluated
    ├── InvalidInputError        invalid_input       the caller's values do not fit the workflow
    ├── NotSupportedError        not_supported       valid, but this version cannot run it
    ├── ModelError
    │   ├── ModelNotFoundError   model_not_found     no such repository, package, file or folder
    │   ├── ModelAccessError     model_access        the repository asks for a token
    │   ├── ModelDownloadError   download_failed     the network or the index failed
    │   ├── ModelDamagedError    model_damaged       a file is missing, cut or unreadable
    │   ├── UnsafeModelError     unsafe_model        pickled weights or remote code, refused
    │   ├── UnsupportedModelError unsupported_model  no architecture or format for it
    │   └── DiskFullError        disk_full           not enough room for what has to be written
    ├── OutOfMemoryError         out_of_memory       the model or the generation does not fit
    ├── ContextOverflowError     context_overflow    the prompt is longer than the model's context
    ├── LoopLimitError           loop_limit          a job was routed to more often than its max_run_count
    ├── RunTimeoutError          timeout             the run's own time limit passed
    ├── RunCancelledError        cancelled           somebody cancelled the run
    ├── KernelDiedError          kernel_died         the kernel that computed the run is gone
    ├── ServerError
    │   ├── ServerRestartedError server_restarted    the server ended while the run was under way
    │   ├── ServerStoppingError  server_stopping     the server is stopping and takes no more runs
    │   └── QueueFullError       queue_full          too many runs wait already; come again later
    ├── NotFoundError            not_found           no such run, workflow or kernel
    ├── ConflictError            conflict            the state of a run does not allow it
    └── InternalError            internal            a defect in mcnb; never the user's fault

``code`` is the stable word that travels over HTTP and into records. ``message`` is one sentence: what is wrong and
where. ``hint`` is what to do next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a compose file; ``line`` and ``column`` count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a compose file.

    Attributes
    ----------
    message : str
        What is wrong, in one sentence.
    location : Location or None
        Where it stands.
    path : str
        The key's path in the document, like ``components[0].action.params.top_p``.
    hint : str or None
        What to do about it.
    """

    message: str
    location: Location | None = None
    path: str = ""
    hint: str | None = None

    def __str__(self) -> str:
        place = f"{self.location}: " if self.location else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place}{self.message}{hint}"


class McnbError(Exception):
    """Base of all errors of mcnb.

    Parameters
    ----------
    message : str
        One sentence: what is wrong and where.
    hint : str, optional
        What to do next.
    """

    code: ClassVar[str] = "internal"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message

    def to_dict(self) -> dict[str, Any]:
        """Return the error as it stands in records and HTTP replies."""
        return {"code": self.code, "message": str(self)}

    def _render_traceback_(self) -> list[str]:
        """Show users the sentence alone: IPython calls this instead of printing frames."""
        return [f"{type(self).__name__}: {self}"]


class DocumentError(McnbError):
    """A compose file is wrong. ``problems`` holds everything found, in file order."""

    code = "invalid_document"

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class ExpressionError(McnbError):
    """A ``${...}`` cannot be parsed or evaluated.

    Parameters
    ----------
    message : str
        What is wrong.
    offset : int, optional
        Position in the template's text, in characters from 0.
    """

    code = "invalid_expression"

    def __init__(self, message: str, *, offset: int | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.offset = offset


class InvalidInputError(McnbError):
    """The caller's values do not fit the workflow's inputs.

    Parameters
    ----------
    message : str
        What is wrong.
    errors : sequence of dict, optional
        One entry for each wrong field: ``{"field": name, "message": sentence}``.
    """

    code = "invalid_input"

    def __init__(self, message: str, *, errors: Sequence[dict[str, str]] = (), hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.errors = tuple(errors)


class NotSupportedError(McnbError):
    """The document is valid, but this version of mcnb cannot run that part of it."""

    code = "not_supported"


class ModelError(McnbError):
    """A model cannot be found, fetched, trusted or loaded."""

    code = "model_error"


class ModelNotFoundError(ModelError):
    """There is no such repository, package, file or folder."""

    code = "model_not_found"


class ModelAccessError(ModelError):
    """The repository exists, but asks for a token or for its licence to be accepted."""

    code = "model_access"


class ModelDownloadError(ModelError):
    """The network or the package index failed while fetching a model."""

    code = "download_failed"


class ModelDamagedError(ModelError):
    """A file of the model is missing, cut or unreadable."""

    code = "model_damaged"


class UnsafeModelError(ModelError):
    """Pickled weights or remote code, refused by default."""

    code = "unsafe_model"


class UnsupportedModelError(ModelError):
    """No architecture, format or driver of this installation can run the model."""

    code = "unsupported_model"


class DiskFullError(ModelError):
    """There is not enough free disk for what has to be written."""

    code = "disk_full"


class OutOfMemoryError(McnbError):
    """The model, or the generation, does not fit into memory."""

    code = "out_of_memory"


class ContextOverflowError(McnbError):
    """The prompt alone is longer than the model's context."""

    code = "context_overflow"


class LoopLimitError(McnbError):
    """A job was routed to more often than its ``max_run_count`` allows."""

    code = "loop_limit"


class RunTimeoutError(McnbError):
    """The run's own time limit passed."""

    code = "timeout"


class RunCancelledError(McnbError):
    """Somebody cancelled the run."""

    code = "cancelled"


class KernelDiedError(McnbError):
    """The kernel that computed the run is gone: it crashed, ran out of memory, or was stopped."""

    code = "kernel_died"


class ServerError(McnbError):
    """The server could not be reached, gave a reply that cannot be understood, or cannot take the request now."""

    code = "server_error"


class ServerRestartedError(ServerError):
    """The server ended while the run was under way."""

    code = "server_restarted"


class ServerStoppingError(ServerError):
    """The server is stopping and takes no more runs."""

    code = "server_stopping"


class QueueFullError(ServerError):
    """Too many runs wait already.

    Parameters
    ----------
    message : str
        What is full.
    retry_after : int
        Seconds after which it is worth trying again.
    """

    code = "queue_full"

    def __init__(self, message: str, *, retry_after: int = 1, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class NotFoundError(McnbError):
    """There is no such run, workflow or kernel."""

    code = "not_found"


class ConflictError(McnbError):
    """The state of a run does not allow what was asked, or an idempotency key was used for another request."""

    code = "conflict"


class InternalError(McnbError):
    """A defect in mcnb. The original exception is its ``__cause__``."""

    code = "internal"


def error_of(code: str, message: str) -> McnbError:
    """Return an error of a code, as one that was written down; an ``InternalError`` where no error has that code."""
    todo = McnbError.__subclasses__()
    while todo:
        kind = todo.pop()
        if kind.code == code and kind is not DocumentError:
            return kind(message)
        todo += kind.__subclasses__()
    return InternalError(message)
