"""Generation parameters: where each value comes from, what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from transformers import GenerationConfig

from mcnb.errors import InvalidInputError
from mcnb.models.parameters import DEFAULTS, Parameters, check_parameters, resolve


def decide(
    user: dict[str, Any] | None = None,
    document: dict[str, Any] | None = None,
    model: dict[str, Any] | None = None,
    *,
    encoder_decoder: bool = False,
) -> Parameters:
    return resolve(
        check_parameters(user or {}),
        check_parameters(document or {}),
        GenerationConfig(**(model or {})),
        encoder_decoder=encoder_decoder,
        seed=(7, "library"),
    )


def test_the_library_decides_what_nobody_else_does() -> None:
    given = decide()
    assert dict(given.values) == {**DEFAULTS, "seed": 7}
    assert set(given.origins.values()) == {"library"}
    assert given.samples
    assert not given.uses_beams


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("do_sample", (True, False, True)),
        ("temperature", (0.1, 0.2, 0.3)),
        ("top_k", (1, 2, 3)),
        ("top_p", (0.1, 0.2, 0.3)),
        ("repetition_penalty", (1.1, 1.2, 1.3)),
        ("num_beams", (2, 3, 4)),
        ("length_penalty", (0.1, -0.2, 0.3)),
        ("early_stopping", (True, "never", True)),
        ("min_output_length", (1, 2, 3)),
        ("max_output_length", (11, 12, 13)),
        ("stop_sequences", (["a"], ["b"], ["c"])),
    ],
)
def test_user_before_document_before_model(name: str, values: tuple[Any, Any, Any]) -> None:
    theirs = {"min_output_length": "min_new_tokens", "max_output_length": "max_new_tokens"}.get(name, name)
    theirs = "stop_strings" if name == "stop_sequences" else theirs
    mine, written, own = values
    layers = ({name: mine}, {name: written}, {theirs: own})
    for given, origin, value in (
        (decide(*layers), "user", mine),
        (decide(None, *layers[1:]), "document", written),
        (decide(None, None, layers[2]), "model", own),
    ):
        expected = tuple(value) if isinstance(value, list) else value
        assert (given[name], given.origins[name]) == (expected, origin)


def test_values_of_the_user_alone() -> None:
    given = decide({"num_return_sequences": 2, "max_input_length": 9, "stop_sequences": "END"})
    assert given["num_return_sequences"] == 2
    assert given["max_input_length"] == 9
    assert given["stop_sequences"] == ("END",)
    assert given.to_dict()["stop_sequences"] == {"value": ["END"], "source": "user"}


@pytest.mark.parametrize(
    ("name", "wrong", "complaint"),
    [
        ("temperature", -5, "temperature: must be at least 0, got -5"),
        ("temperature", 101, "temperature: must be at most 100, got 101"),
        ("temperature", float("nan"), "temperature: "),
        ("temperature", "hot", "temperature: expected a number, got 'hot'"),
        ("top_p", 0, "top_p: must be greater than 0, got 0"),
        ("top_p", 1.01, "top_p: must be at most 1"),
        ("top_k", -1, "top_k: must be at least 0"),
        ("top_k", 1.5, "top_k: expected an integer, got 1.5"),
        ("top_k", True, "top_k: expected an integer, got true"),
        ("repetition_penalty", 0, "repetition_penalty: must be greater than 0"),
        ("num_beams", 0, "num_beams: must be at least 1"),
        ("num_beams", 65, "num_beams: must be at most 64"),
        ("early_stopping", "maybe", "early_stopping: "),
        ("do_sample", "perhaps", "do_sample: "),
        ("max_output_length", 0, "max_output_length: must be at least 1"),
        ("max_output_length", 1_000_001, "max_output_length: must be at most 1,000,000"),
        ("min_output_length", -1, "min_output_length: must be at least 0"),
        ("num_return_sequences", 0, "num_return_sequences: must be at least 1"),
        ("num_return_sequences", 9, "num_return_sequences: must be at most 8"),
        ("stop_sequences", [""], "stop_sequences: "),
        ("stop_sequences", ["x" * 129], "stop_sequences: "),
        ("stop_sequences", ["x"] * 9, "stop_sequences: "),
        ("stop_sequences", [3], "stop_sequences: "),
        ("seed", -1, "seed: must be at least 0"),
        ("seed", 2**63, "seed: must be less than 9,223,372,036,854,775,808"),
        ("heat", 1, "there is no generation parameter 'heat'"),
    ],
)
def test_ranges(name: str, wrong: Any, complaint: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        check_parameters({name: wrong})
    assert complaint in caught.value.message
    assert [error["field"] for error in caught.value.errors] == [name]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("temperature", 0, 0),
        ("temperature", "0.5", 0.5),
        ("top_p", 1, 1),
        ("top_k", 0, 0),
        ("seed", 2**63 - 1, 2**63 - 1),
        ("stop_sequences", ["${input.x}", "\\${"], ("${input.x}", "\\${")),  # texts, not expressions
        ("stop_sequences", "${", ("${",)),
        ("max_output_length", None, None),
    ],
)
def test_values_at_the_edge(name: str, value: Any, expected: Any) -> None:
    found = check_parameters({name: value}).get(name)
    assert found == expected
    assert not isinstance(found, tuple) or all(type(item).__mro__[-2] is str for item in found)


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(InvalidInputError, match=r"temperature: .*; top_p: .*; there is no"):
        check_parameters({"temperature": -1, "top_p": 7, "nonsense": 1, "top_k": 3})


def test_temperature_zero_takes_the_likeliest() -> None:
    assert not decide({"temperature": 0}).samples
    assert not decide(None, None, {"temperature": 0.0}).samples
    assert not decide({"do_sample": False}).samples


def test_a_model_that_chose_beams_does_not_draw() -> None:
    given = decide(None, None, {"num_beams": 4})
    assert (given["do_sample"], given.origins["do_sample"]) == (False, "model")
    assert decide({"do_sample": True}, None, {"num_beams": 4}).samples
    assert decide(None, None, {"num_beams": 4, "do_sample": True}).samples


def test_a_model_that_chose_not_to_draw() -> None:
    given = decide(None, None, {"do_sample": False})
    assert (given["do_sample"], given.origins["do_sample"]) == (False, "model")


def test_lengths_of_an_encoder_decoder_count_the_start_token() -> None:
    own = {"max_length": 60, "min_length": 20}
    given = decide(None, None, own, encoder_decoder=True)
    assert (given["max_output_length"], given["min_output_length"]) == (59, 19)
    plain = decide(None, None, own)  # a causal model's count the prompt, so they say nothing about the output
    assert (plain["max_output_length"], plain["min_output_length"]) == (DEFAULTS["max_output_length"], 0)
    new = decide(None, None, {**own, "max_new_tokens": 5, "min_new_tokens": 2}, encoder_decoder=True)
    assert (new["max_output_length"], new["min_output_length"]) == (5, 2)


@pytest.mark.parametrize(
    "wrong",
    [
        {"top_p": 0.0},
        {"top_k": -1},
        {"num_beams": 1000},
        {"num_beams": "ten"},
        {"temperature": -1.0},
        {"temperature": "warm"},
        {"temperature": float("nan")},
        {"stop_strings": [3]},
        {"max_new_tokens": -4},
    ],
)
def test_a_models_impossible_values_are_left_to_the_library(wrong: dict[str, Any]) -> None:
    config = GenerationConfig()
    for name, value in wrong.items():
        setattr(config, name, value)
    given = resolve({}, {}, config, encoder_decoder=False, seed=(1, "user"))
    assert given.values == {**DEFAULTS, "seed": 1}
    assert {*given.origins.values()} == {"library", "user"}


def test_a_models_values_are_taken_in_mcnbs_form() -> None:
    config = GenerationConfig()
    for name, value in {"temperature": "0.5", "num_beams": 2.0, "stop_strings": ["a"]}.items():
        setattr(config, name, value)
    given = resolve({}, {}, config, encoder_decoder=False, seed=(1, "user"))
    assert (given["temperature"], given["num_beams"], given["stop_sequences"]) == (0.5, 2, ("a",))
    assert not given.samples


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"temperature": -5}, "temperature: must be at least 0, got -5"),
        ({"temperature": float("nan")}, "temperature: expected a finite number, got nan"),
        ({"top_k": "many"}, "top_k: expected an integer, got 'many'"),
        ({"early_stopping": "always"}, "early_stopping: expected true or false or 'never', got 'always'"),
        ({"stop_sequences": {}}, "stop_sequences: expected a text or a list of texts, got a mapping"),
        ({"top_k": -1, "top_p": 2}, "top_k: must be at least 0, got -1; top_p: must be at most 1, got 2"),
    ],
)
def test_messages(given: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        check_parameters(given)
    assert caught.value.message == told


def test_a_models_minimum_gives_way_to_an_asked_maximum() -> None:
    given = decide({"max_output_length": 5}, None, {"min_length": 20}, encoder_decoder=True)
    assert given["min_output_length"] == 5


@pytest.mark.parametrize(
    ("user", "complaint"),
    [
        ({"min_output_length": 9, "max_output_length": 8}, "min_output_length 9 is more than max_output_length 8"),
        ({"num_return_sequences": 2, "do_sample": False}, "without them all sequences are the same"),
        ({"num_return_sequences": 2, "temperature": 0}, "without them all sequences are the same"),
        ({"num_return_sequences": 3, "num_beams": 2}, r"cannot be more than num_beams \(2\)"),
    ],
)
def test_values_that_do_not_go_together(user: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InvalidInputError, match=complaint) as caught:
        decide(user)
    assert caught.value.errors
    with pytest.raises(InvalidInputError, match=complaint):
        decide(None, user)


def test_the_seed_keeps_its_origin() -> None:
    assert decide()["seed"] == 7
    assert decide().origins["seed"] == "library"
    assert decide().to_dict()["seed"] == {"value": 7, "source": "library"}
