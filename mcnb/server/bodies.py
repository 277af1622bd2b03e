"""Bodies: what clients send, read from JSON, forms and queries and checked before anything is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from mcnb.compose.suggest import suggestion
from mcnb.errors import InvalidInputError
from mcnb.server.forms import MAX_FIELDS, nested, plain_texts
from mcnb.server.json_text import check_plain, read_json
from mcnb.server.replies import State

MAX_BYTES = 1_000_000
"""Of a body."""

JSON = "application/json"
URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
ALWAYS_ALLOWED = frozenset({"token", "_xsrf", "no_track_activity", "_"})
"""Keys of a query that belong to the Jupyter server."""

Name = Annotated[str, Field(min_length=1, max_length=256)]
Time = Annotated[float, Field(ge=0, le=1e11, allow_inf_nan=False)]


class UnsupportedTypeError(InvalidInputError):
    """The body is of a type that cannot be read here: 415."""


class BodyTooLargeError(InvalidInputError):
    """The body has more than ``MAX_BYTES``: 413."""


class _Checked(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class RunRequestBody(_Checked):
    """What to run, and how to answer."""

    workflow_id: Name | None = Field(None, description="Which workflow; without it, the default one.")
    input: dict[str, JsonValue] | None = Field(None, description="The values that the workflow asks for, by name.")
    session_id: Name | None = Field(None, description="A name of the caller's, to find the run again.")
    metadata: dict[str, JsonValue] | None = Field(None, description="Anything of the caller's; kept with the run.")
    wait_for_completion: bool = Field(True, description="Answer when the run is over; otherwise at once, with 202.")
    output_only: bool = Field(False, description="Answer a completed run with its output alone.")
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = Field(None, description="Drawn where it is not given.")
    parameters: dict[str, JsonValue] | None = Field(None, description="Overrides of generation parameters, by name.")
    stream: bool = Field(False, description="Answer with the run's events.")
    timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        None, description="Seconds, counted from now, after which the run fails."
    )
    priority: Literal["interactive", "api", "bulk"] = "api"
    kernel_id: Name | None = Field(None, description="An existing kernel to run in, which shares its models.")
    cancel_on_disconnect: bool | None = Field(
        None,
        description="Whether the run is cancelled when the client leaves while it waits; "
        "without it, only where there is no Idempotency-Key.",
    )


class ResumeBody(_Checked):
    """The answer to an interrupted run; without one, the value it asked about is kept."""

    answer: JsonValue = None


class _Query(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NoQuery(_Query):
    """No keys."""


class WorkflowsQuery(_Query):
    """How much to say of each workflow."""

    include_schema: bool = False


class SchemaQuery(_Query):
    """Which kind of schema."""

    format: Literal["fields", "json-schema"] | None = None


class OutputQuery(_Query):
    """How much to say of a run."""

    output_only: bool = False


class RunsQuery(_Query):
    """Which runs to list."""

    status: State | None = None
    workflow_id: Name | None = None
    session_id: Name | None = None
    created_after: Time | None = None
    created_before: Time | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 50
    cursor: Annotated[str, Field(pattern=r"^[0-9]{1,18}$", description="The last page's `next_cursor`.")] | None = None


class EventsQuery(_Query):
    """Where to start."""

    after: Annotated[int, Field(ge=0, lt=2**63, description="The number of the last event seen.")] | None = None


class Fields(NamedTuple):
    """The fields of a body; a form's values are texts."""

    values: dict[str, Any]
    is_form: bool


_Model = TypeVar("_Model", bound=BaseModel)


def read_fields(content_type: str, body: bytes) -> Fields:
    """Read a body.

    Raises
    ------
    UnsupportedTypeError
        When it is neither JSON nor a form.
    InvalidInputError
        When it is not what it says it is.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if not body and kind in ("", JSON):
        return Fields({}, False)
    if kind == JSON:
        return Fields(_mapping(read_json(body)), False)
    if kind == URLENCODED and body.lstrip()[:1] == b"{":
        raise UnsupportedTypeError(
            "the body is JSON, but its type says it is a form", hint=f"send Content-Type: {JSON}"
        )
    if kind in (URLENCODED, MULTIPART):
        return Fields(check_plain(plain_texts(nested(_form_pairs(content_type, body)))), True)
    raise UnsupportedTypeError(
        f"cannot read a body of type '{kind[:100]}'" if kind else "the body has no Content-Type",
        hint=f"send {JSON}, {URLENCODED} or {MULTIPART}",
    )


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidInputError(
            f"the body has to be an object, got {_KINDS.get(type(value), 'something else')}",
            hint='for example {"input": {"prompt": "..."}}',
        )
    return value


_KINDS: Mapping[type, str] = {
    list: "a list", str: "a text", int: "a number", float: "a number", bool: "a boolean", type(None): "null"
}  # fmt: skip


def _form_pairs(content_type: str, body: bytes) -> list[tuple[str, str]]:
    from tornado.httputil import HTTPFile, HTTPInputError, parse_body_arguments

    arguments: dict[str, list[bytes]] = {}
    files: dict[str, list[HTTPFile]] = {}
    try:
        parse_body_arguments(content_type, body, arguments, files)
    except HTTPInputError as error:
        raise InvalidInputError("the body is not the form that its type says") from error
    parts = [(name, value) for name, values in arguments.items() for value in values]
    parts += [(name, file["body"]) for name, found in files.items() for file in found]
    if len(parts) > MAX_FIELDS:
        raise InvalidInputError(f"the form has more than {MAX_FIELDS} fields")
    try:
        # the parser of urlencoded bodies decodes names as latin-1, so that none fails
        raw = content_type.lower().startswith(URLENCODED)
        return [(name.encode("latin-1").decode() if raw else name, value.decode()) for name, value in parts]
    except UnicodeError as error:
        raise InvalidInputError("the form holds text that is not UTF-8") from error


def check_fields(model: type[_Model], fields: Fields) -> _Model:
    """Check the fields of a body.

    Raises
    ------
    InvalidInputError
        With everything that is wrong.
    """
    try:
        return model.model_validate(fields.values, strict=not fields.is_form)
    except ValidationError as error:
        raise _invalid(error, list(model.model_fields), "key") from error


def check_query(model: type[_Model], arguments: Mapping[str, Sequence[bytes]]) -> _Model:
    """Check the keys of a query.

    Raises
    ------
    InvalidInputError
        With everything that is wrong.
    """
    values: dict[str, str] = {}
    for name, given in arguments.items():
        if name in ALWAYS_ALLOWED or name.isdigit():  # a number alone: what keeps a reply out of caches
            continue
        try:
            values[name] = given[-1].decode()
        except UnicodeDecodeError as error:
            raise InvalidInputError(f"the query's '{name[:100]}' is not UTF-8") from error
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise _invalid(error, list(model.model_fields), "query key") from error


MAX_TOLD = 20


def _invalid(error: ValidationError, known: list[str], what: str) -> InvalidInputError:
    errors = []
    for details in error.errors(include_url=False, include_context=False, include_input=False)[:MAX_TOLD]:
        field = ".".join(str(part) for part in details["loc"])[:100]
        if details["type"] == "extra_forbidden":
            hint = suggestion(field, known, otherwise="none is known here")
            message = f"there is no {what} '{field}'; {hint}"
        else:
            message = f"{field}: {details['msg'][:1].lower()}{details['msg'][1:]}"
        errors.append({"field": field, "message": message})
    return InvalidInputError("; ".join(item["message"] for item in errors), errors=errors)
