"""Generation parameters: one explicit set for each call, each value with where it comes from.

The order is user (this run) > document > model (its ``generation_config.json``) > library (the defaults below, which
are those of compose files).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import ConfigDict, TypeAdapter, ValidationError

from mcnb.compose import parse_pair
from mcnb.compose.expressions import Verbatim
from mcnb.compose.schema import GenerationParams, TextGenerationAction
from mcnb.compose.suggest import suggestion
from mcnb.compose.wording import expected, is_about_type, sentence, shown
from mcnb.errors import InvalidInputError

Origin: TypeAlias = Literal["user", "document", "model", "library"]

DEFAULTS: dict[str, Any] = {
    "do_sample": True,
    "temperature": 0.7,
    "top_k": 50,
    "top_p": 0.9,
    "repetition_penalty": 1.0,
    "num_beams": 1,
    "length_penalty": 1.0,
    "early_stopping": False,
    "min_output_length": 0,
    "max_output_length": 1024,
    "max_input_length": None,
    "num_return_sequences": 1,
    "stop_sequences": (),
    "seed": None,
}

MODEL_KEYS = {
    "do_sample": "do_sample",
    "temperature": "temperature",
    "top_k": "top_k",
    "top_p": "top_p",
    "repetition_penalty": "repetition_penalty",
    "num_beams": "num_beams",
    "length_penalty": "length_penalty",
    "early_stopping": "early_stopping",
    "min_output_length": "min_new_tokens",
    "max_output_length": "max_new_tokens",
    "stop_sequences": "stop_strings",
}
"""Our names and those of a model's generation config."""

DRAWN_SEED_BITS = 32


@dataclass(frozen=True)
class Parameters:
    """The parameters of one generation.

    Attributes
    ----------
    values : mapping
        Every name of ``DEFAULTS`` with its value; the seed is always set.
    origins : mapping
        Where each value comes from.
    cap : int or None
        New tokens that whoever serves the run allows at most, whatever is asked for.
    """

    values: Mapping[str, Any]
    origins: Mapping[str, Origin] = field(default_factory=dict)
    cap: int | None = None

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    @property
    def samples(self) -> bool:
        """Whether tokens are drawn rather than the likeliest taken."""
        return bool(self["do_sample"]) and self["temperature"] > 0

    @property
    def uses_beams(self) -> bool:
        """Whether several beams are searched; such a text cannot be streamed."""
        return bool(self["num_beams"] > 1)

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Return the parameters as they stand in a record."""
        return {
            name: {
                "value": list(value) if isinstance(value, tuple) else value,
                "source": self.origins.get(name, "library"),
            }
            for name, value in self.values.items()
        }


def check_parameters(given: Mapping[str, Any]) -> dict[str, Any]:
    """Check values that expressions or callers gave, by the rules of the document's schema.

    Raises
    ------
    InvalidInputError
        With each wrong value by name.
    """
    checked, errors = {}, []
    for name, value in given.items():
        if value is None:
            continue
        if name not in DEFAULTS:
            errors.append({"field": name, "message": f"there is no generation parameter '{name}'"})
            continue
        try:
            checked[name] = _adapter(name).validate_python(_verbatim(value))
        except ValidationError as error:
            errors.append({"field": name, "message": f"{name}: {_what_is_wrong(error, name)}"})
    if errors:
        raise InvalidInputError("; ".join(item["message"] for item in errors), errors=errors)
    return checked


def parse_parameter(text: str) -> tuple[str, Any]:
    """Read the text of an option ``-p NAME=VALUE``: numbers, booleans and lists as JSON, anything else as text.

    Raises
    ------
    InvalidInputError
        When there is no such parameter; ``check_parameters`` says what is wrong with a value.
    """
    name, written = parse_pair(text, "-p")
    if name not in DEFAULTS:
        raise InvalidInputError(f"-p {text}: there is no parameter '{name}'", hint=suggestion(name, DEFAULTS))
    try:
        return name, json.loads(written.lower() if written in ("True", "False") else written)
    except ValueError:
        return name, written


def _verbatim(value: Any) -> Any:
    """Take texts as they are: a value that looks like an expression is none."""
    if isinstance(value, str):
        return Verbatim(value)
    return [_verbatim(item) for item in value] if isinstance(value, list | tuple) else value


@lru_cache(maxsize=len(DEFAULTS))
def _adapter(name: str) -> TypeAdapter[Any]:
    owner = GenerationParams if name in GenerationParams.model_fields else TextGenerationAction
    info = owner.model_fields[name]
    inner: Any = Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation
    return TypeAdapter(inner, config=ConfigDict(arbitrary_types_allowed=True, allow_inf_nan=False))


def _what_is_wrong(error: ValidationError, name: str) -> str:
    found = error.errors(include_url=False)
    if len(found) > 1 and all(is_about_type(details) for details in found):  # none of several types
        words = " or ".join(dict.fromkeys(expected(details, name) for details in found))
        return f"expected {words}, got {shown(found[0]['input'])}"
    return sentence(found[0], name)[0]


def resolve(
    user: Mapping[str, Any],
    document: Mapping[str, Any],
    model_defaults: Any,
    *,
    encoder_decoder: bool,
    seed: tuple[int, Origin],
) -> Parameters:
    """Decide every generation parameter.

    Parameters
    ----------
    user : mapping
        Overrides of this run, checked.
    document : mapping
        What the action says, checked.
    model_defaults : transformers.GenerationConfig
        The model's own.
    encoder_decoder : bool
        For such models a ``max_length`` of the model counts output tokens.
    seed : (int, str)
        The seed and where it comes from; a drawn one comes from the library.

    Returns
    -------
    mcnb.models.parameters.Parameters
        All of them.

    Raises
    ------
    InvalidInputError
        When values do not go together.
    """
    own = _of_model(model_defaults, encoder_decoder)
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    layers: tuple[tuple[Origin, Mapping[str, Any]], ...] = (("user", user), ("document", document), ("model", own))
    for name, default in DEFAULTS.items():
        for origin, layer in layers:
            if layer.get(name) is not None:
                values[name], origins[name] = layer[name], origin
                break
        else:
            values[name], origins[name] = default, "library"
    values["seed"], origins["seed"] = seed
    if isinstance(values["stop_sequences"], str):
        values["stop_sequences"] = (values["stop_sequences"],)
    low, high = values["min_output_length"], values["max_output_length"]
    if low > high:
        if origins["min_output_length"] in ("model", "library"):
            values["min_output_length"] = high  # a model's minimum gives way to an asked maximum
        else:
            message = f"min_output_length {low} is more than max_output_length {high}"
            raise InvalidInputError(message, errors=[{"field": "min_output_length", "message": message}])
    draws = values["do_sample"] and values["temperature"] > 0
    if values["num_return_sequences"] > 1 and not draws and values["num_beams"] == 1:
        message = "num_return_sequences > 1 needs do_sample or num_beams: without them all sequences are the same"
        raise InvalidInputError(message, errors=[{"field": "num_return_sequences", "message": message}])
    if 1 < values["num_beams"] < values["num_return_sequences"]:
        message = f"num_return_sequences cannot be more than num_beams ({values['num_beams']})"
        raise InvalidInputError(message, errors=[{"field": "num_return_sequences", "message": message}])
    return Parameters(values, origins)


def _of_model(config: Any, encoder_decoder: bool) -> dict[str, Any]:
    given = {name: getattr(config, theirs, None) for name, theirs in MODEL_KEYS.items()}
    if encoder_decoder:  # the decoder's start token counts in their lengths
        if given["max_output_length"] is None and isinstance(getattr(config, "max_length", None), int):
            given["max_output_length"] = max(1, config.max_length - 1)
        if not given["min_output_length"] and isinstance(getattr(config, "min_length", None), int):
            given["min_output_length"] = max(0, config.min_length - 1)
    own = {name: found for name, value in given.items() for found in _accepted(name, value)}
    if own.get("num_beams", 1) > 1 and "do_sample" not in own:
        own["do_sample"] = False  # beams were chosen for searching, not for drawing
    return own


def _accepted(name: str, value: Any) -> tuple[Any, ...]:
    """Return a model's value in mcnb's form; none where mcnb accepts no such value, which leaves it to the library."""
    try:
        return tuple(check_parameters({name: value}).values())
    except InvalidInputError:
        return ()
