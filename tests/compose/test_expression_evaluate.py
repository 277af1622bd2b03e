from __future__ import annotations

from collections import OrderedDict

import pytest

from mcnb.compose.expressions import parse_tree, render
from mcnb.errors import ExpressionError


def rendered(tree, **sources):
    return render(parse_tree(tree), sources)


class Loud:
    """An object that notices when somebody looks inside."""

    def __getattr__(self, name):
        raise AssertionError(f"looked up {name}")


def test_attributes_do_not_exist():
    assert rendered("${input.thing.secret}", input={"thing": Loud()}) is None
    assert rendered("${input.thing[0]}", input={"thing": Loud()}) is None
    assert rendered("${input.thing[*].x}", input={"thing": Loud()}) is None
    assert rendered("${input.text.upper}", input={"text": "a"}) is None
    assert rendered("${input.text[0]}", input={"text": "abc"}) is None


@pytest.mark.parametrize(
    "text",
    [
        "${input.__class__}",
        "${input.__class__.__mro__[1].__subclasses__}",
        "${input.a.__init__.__globals__}",
        "${input['__class__']}",
        "${context.__dict__}",
    ],
)
def test_dunders_are_only_keys(text):
    assert rendered(text, input={"a": object()}, context={}) is None


@pytest.mark.parametrize("text", ["${input.a()}", "${input.a + 1}", "${1 + 1}", "${7*7}", "${input.a ? 1 : 2}"])
def test_nothing_is_computed(text):
    with pytest.raises(ExpressionError):
        rendered(text, input={"a": 1})


def test_a_value_is_never_expanded_again():
    bad = "${env.SECRET} {{7*7}} \\${x} {0.__class__} %s"

    assert rendered("${input.a}", input={"a": bad}, env={"SECRET": "s"}) == bad
    assert rendered("<${input.a}>", input={"a": bad}, env={"SECRET": "s"}) == f"<{bad}>"
    assert rendered('${input.b | "${input.a}"}', input={"a": bad}, env={"SECRET": "s"}) == bad
    assert rendered({"...": "${input.c}"}, input={"c": {"k": bad}}, env={}) == {"k": bad}


def test_index_by_expression():
    sources = {"input": {"rows": ["a", "b"], "by": {"k": "v"}}}

    assert rendered("${input.rows[${index}]}", index=1, **sources) == "b"
    assert rendered("${input.rows[${index}]}", index=2, **sources) is None
    assert rendered("${input.rows[${index}]}", index=True, **sources) is None
    assert rendered("${input.by[${name}]}", name="k", **sources) == "v"
    assert rendered("${input.by[${name}]}", name=["k"], **sources) is None


def test_slices_and_every():
    rows = {"rows": [{"n": 1}, {"n": 2}, {"m": 3}]}

    assert rendered("${input.rows[*].n}", input=rows) == [1, 2, None]
    assert rendered("${input.rows[::2]}", input=rows) == [{"n": 1}, {"m": 3}]
    assert rendered("${input.rows[:-1]}", input=rows) == [{"n": 1}, {"n": 2}]
    assert rendered("${input.rows[*]}", input={"rows": {"a": 1}}) is None


def test_spread_merges_in_order():
    tree = {"a": 1, "...": "${input.more}", "b": 2}

    assert rendered(tree, input={"more": {"a": 9, "b": 9, "c": 9}}) == {"a": 9, "b": 2, "c": 9}
    assert rendered(tree, input={}) == {"a": 1, "b": 2}
    with pytest.raises(ExpressionError, match=r"'\.\.\.' merges a mapping, got list"):
        rendered(tree, input={"more": [1]})


def test_any_mapping_and_tuple_will_do():
    assert rendered("${input.a[1]}", input=OrderedDict(a=(1, 2))) == 2
    assert render((parse_tree("${input.a}"), "b"), {"input": {"a": 1}}) == [1, "b"]


def test_unknown_source_suggests_the_nearest():
    with pytest.raises(ExpressionError) as caught:
        rendered("Say ${inptu.a}", input={}, env={})

    assert caught.value.message == "${inptu.a}: there is no 'inptu' here"
    assert caught.value.hint == "did you mean 'input'?"
    assert caught.value.offset == 4


def test_default_of_a_default_and_null():
    text = "${input.a | ${input.b | ${input.c | last}}}"

    assert rendered(text, input={"a": None, "b": None}) == "last"
    assert rendered(text, input={"a": None, "b": 0}) == 0
    assert rendered(text, input={"a": "", "b": 0}) == ""


def test_cast_applies_to_what_a_default_gave():
    with pytest.raises(ExpressionError, match=r"^input\.a: expected an integer, got 'x'$"):
        rendered("${input.a as integer | ${input.b}}", input={"b": "x"})
