"""What all parts of the document's schema share: closed mappings, and values that may be expressions."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, PydanticKnownError, core_schema

from mcnb.compose.expressions import Template, TemplateTree, Verbatim, parse_template, parse_tree
from mcnb.compose.expressions.casts import cast
from mcnb.compose.schema.limits import MAX_KEYS, SKIPPED, Budget, too_many
from mcnb.errors import ExpressionError

EXPRESSION_PATTERN = r"\$\{"


class Part(BaseModel):
    """A part of the document: unknown keys are errors, and nothing changes after checking."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, allow_inf_nan=False)

    @model_validator(mode="wrap")
    @classmethod
    def _within_limits(cls, value: Any, handler: ModelWrapValidatorHandler[Any], info: ValidationInfo) -> Any:
        budget = info.context if isinstance(info.context, Budget) else Budget()
        if budget.is_spent:
            raise PydanticCustomError(SKIPPED, "skipped")
        if isinstance(value, dict) and len(value) > MAX_KEYS:
            raise too_many(MAX_KEYS, len(value))
        try:
            return handler(value)
        except ValidationError as error:
            budget.errors += error.error_count()
            raise


def tag(value: Any, key: str, default: str | None = None) -> str:
    """Return the name of the shape that a mapping's `key` chooses among several.

    It begins with ``@``, as no key of a document does, so that it can be told from one in an error's path.
    """
    found = value.get(key, default) if isinstance(value, dict) else getattr(value, key, None)
    return f"@{found}" if isinstance(found, str) else "@"


def _expression_error(error: ExpressionError) -> PydanticCustomError:
    context = {
        "message": error.message,
        "hint": error.hint,
        "offset": error.offset or 0,
        "path": list(getattr(error, "path", ())),
    }
    return PydanticCustomError("expression", "{message}", context)


class ExpressionOr:
    """Annotation: a value of a type, or an expression that gives one when the run starts.

    Parameters
    ----------
    inner : Any
        The type, as pydantic knows it.
    """

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Check expressions here and everything else as the type."""
        number = {int: "int_type", float: "float_type"}.get(getattr(self.inner, "__origin__", self.inner))

        def validate(value: Any, inner: core_schema.ValidatorFunctionWrapHandler) -> Any:
            if isinstance(value, str) and "${" in value:
                try:
                    template = parse_template(value)
                    if template.is_constant:
                        return inner(Verbatim(template.constant))  # it is not to be read again further in
                    _check_default(template, inner)
                except ExpressionError as error:
                    raise _expression_error(error) from error
                return template
            if isinstance(value, bool) and number:  # to Python, true is 1
                raise PydanticKnownError(number)  # type: ignore[arg-type]
            return inner(value)

        return core_schema.no_info_wrap_validator_function(validate, handler.generate_schema(self.inner))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Say both in the document's JSON Schema."""
        return {"anyOf": [handler(schema), {"type": "string", "pattern": EXPRESSION_PATTERN}]}


def _check_default(template: Template, inner: core_schema.ValidatorFunctionWrapHandler) -> None:
    """Hold a constant default to the field's own rules: a run without the input would use it."""
    sole = template.sole
    while sole is not None and sole.default is not None:
        if sole.default.is_constant:
            constant: Any = sole.default.constant
            inner(cast(constant, sole.type, what=sole.path) if sole.type else constant)
        sole = sole.default.sole


class _Templates:
    """Annotation: parse every text of a value; with `texts`, allow nothing else than a text (or a list of them)."""

    def __init__(self, *, texts: bool = False, lists: bool = False) -> None:
        self.texts = texts
        self.lists = lists

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def as_text(value: Any) -> str:
            if isinstance(value, int | float) and not isinstance(value, bool):
                return str(value)  # `prompt: 42`
            if not isinstance(value, str):
                raise PydanticKnownError("string_type")
            return value

        def as_item(number: int, value: Any) -> str:
            try:
                return as_text(value)
            except PydanticKnownError:
                context = {"message": "expected a text", "offset": 0, "path": [number]}
                raise PydanticCustomError("expression", "{message}", context) from None

        def validate(value: Any) -> Any:
            if isinstance(value, Template):
                return value
            if self.lists and isinstance(value, list):
                value = [as_item(number, item) for number, item in enumerate(value)]
            elif self.texts:
                value = as_text(value)
            try:
                return parse_tree(value)
            except ExpressionError as error:
                raise _expression_error(error) from error

        return core_schema.no_info_plain_validator_function(validate)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        if not self.texts:
            return {}
        text: JsonSchemaValue = {"type": ["string", "number"]}
        return {"anyOf": [text, {"type": "array", "items": text}]} if self.lists else text


Text = Annotated[Template, _Templates(texts=True)]
"""A text that may hold expressions."""

TextOrTexts = Annotated[Template | list[Template], _Templates(texts=True, lists=True)]
"""A text, or a list of texts (a batch)."""

Tree = Annotated[TemplateTree, _Templates()]
"""Any YAML value; its texts may hold expressions."""
