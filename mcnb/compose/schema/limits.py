"""Limits that keep the check of a hostile document short: they are looked at before what they bound."""

from __future__ import annotations

from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

MAX_ITEMS = 1_000
MAX_KEYS = 1_000
MAX_ERRORS = 1_000

SKIPPED = "skipped"
"""The kind of an error that says nothing: the part was not looked at, because enough is wrong already."""


class Budget:
    """Counts what is wrong while a document is checked; given to pydantic as its context."""

    def __init__(self) -> None:
        self.errors = 0

    @property
    def is_spent(self) -> bool:
        """Whether enough was found to stop looking."""
        return self.errors >= MAX_ERRORS


def too_many(most: int, count: int) -> PydanticCustomError:
    """Return the error for a list or a mapping that has more than it may."""
    return PydanticCustomError("too_many", "at most {most} are allowed, got {count}", {"most": most, "count": count})


class Several:
    """Annotation: a list of at most so many items; a longer one is refused before its items are looked at."""

    def __init__(self, most: int = MAX_ITEMS) -> None:
        self.most = most

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Count, then check."""

        def validate(value: Any, inner: core_schema.ValidatorFunctionWrapHandler) -> Any:
            if isinstance(value, list | tuple) and len(value) > self.most:
                raise too_many(self.most, len(value))
            return inner(value)

        return core_schema.no_info_wrap_validator_function(validate, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Say the limit in the JSON Schema."""
        return {**handler(schema), "maxItems": self.most}
