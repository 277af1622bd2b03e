"""Plain values of the document: numbers that are not booleans, texts of one form, lengths of time."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, PydanticKnownError, core_schema

from mcnb.compose.durations import parse_duration


def _not_boolean(kind: Any) -> BeforeValidator:
    def check(value: Any) -> Any:
        if isinstance(value, bool):  # to Python, true is 1
            raise PydanticKnownError(kind)
        return value

    return BeforeValidator(check)


IS_INTEGER = _not_boolean("int_type")
IS_NUMBER = _not_boolean("float_type")
"""Annotations, to stand last: a boolean is no number."""


_PASSWORD = re.compile(r"://[^/@]*@")


class Form:
    """Annotation: a text that a pattern matches as a whole.

    Parameters
    ----------
    pattern : str
        A regular expression.
    words : str
        What the text has to be, for people: "'x y' is not {words}".
    hint : str, optional
        What to write instead.
    hidden : bool
        Whether the value is a secret, which no message may show.
    """

    def __init__(self, pattern: str, words: str, hint: str | None = None, *, hidden: bool = False) -> None:
        self.pattern = pattern
        self.words = words
        self.hint = hint
        self.hidden = hidden

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Check the text's form once it is known to be a text."""
        compiled = re.compile(self.pattern)

        def validate(value: str) -> str:
            if not compiled.fullmatch(value):
                shown = value if len(value) <= 80 else value[:77] + "..."
                shown = "***" if self.hidden else _PASSWORD.sub("://***@", shown)
                context = {"value": shown, "words": self.words, "hint": self.hint}
                raise PydanticCustomError("form", "'{value}' is not {words}", context)
            return value

        return core_schema.no_info_after_validator_function(validate, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Say the pattern in the JSON Schema."""
        return {**handler(schema), "pattern": f"^(?:{self.pattern})$"}


Id = Annotated[
    str,
    Field(min_length=1, max_length=128),
    Form(r"""[^\s.\[\]|{}@$"'\\/]+""", "an id", "an id holds no spaces and none of . / | @ $ [ ] { } \\ and quotes"),
]
"""An id of a component, an action, a workflow or a job: usable inside an expression's path and in a URL."""


def _duration(value: Any) -> Any:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        try:
            parse_duration(value)
        except ValueError as error:
            raise PydanticCustomError("duration", "{message}", {"message": str(error)}) from None
        return value
    raise PydanticCustomError("duration_type", "a length of time")


SPAN = 'Seconds, or like "500ms", "5s", "10m", "1h".'
COMPATIBLE = "Accepted for files of model-compose; it changes nothing here."
"""Descriptions of several keys."""

Duration = Annotated[str | int | float, BeforeValidator(_duration), Field(description=SPAN)]
"""A length of time, as written; ``parse_duration`` gives its seconds."""
