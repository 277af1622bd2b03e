from __future__ import annotations

import pytest

from mcnb.compose.expressions import Expression, Template, TypeSpec, Verbatim, parse_template, parse_tree, walk
from mcnb.compose.expressions.grammar import Every, Index, Key, Slice
from mcnb.compose.expressions.parser import MAX_EXPRESSIONS
from mcnb.compose.expressions.scanner import MAX_LENGTH
from mcnb.errors import ExpressionError


def wrong(text: str) -> ExpressionError:
    with pytest.raises(ExpressionError) as caught:
        parse_template(text)
    return caught.value


def sole(text: str) -> Expression:
    found = parse_template(text).sole
    assert found is not None
    return found


def test_steps_of_a_path():
    found = sole('${ rows[*].a-b["a key"][0][-1][1:2][::3][${index}] }')

    assert found.root == "rows"
    assert found.steps == (
        Every(),
        Key("a-b"),
        Key("a key"),
        Index(0),
        Index(-1),
        Slice(1, 2, None),
        Slice(None, None, 3),
        Index(Expression("index", offset=41)),
    )


def test_path_is_written_back():
    assert sole("${input.items[0].n[*][1:][${index}]}").path == "input.items[0].n[*][1:][${index}]"


def test_type_default_and_annotations():
    found = sole("${input.size as select/small, large | large @(description How big (roughly)) @(group a)}")

    assert found.type == TypeSpec("select", options=("small", "large"))
    assert found.default == Template("large", ("large",))
    assert found.annotations == (("description", "How big (roughly)"), ("group", "a"))


@pytest.mark.parametrize(
    ("text", "written", "is_stream"),
    [
        ("${output as text}", "text", False),
        ("${output as stream/text}", "stream/text", True),
        ("${output as text;sse-text}", "text;sse-text", True),
        ("${output as object[]/id,n}", "object[]/id,n", False),
        ("${output as integer[]}", "integer[]", False),
    ],
)
def test_types(text, written, is_stream):
    spec = sole(text).type

    assert str(spec) == written
    assert spec.is_stream is is_stream


@pytest.mark.parametrize(
    ("text", "offset", "message", "hint"),
    [
        ("${input.a", 0, "'${' is never closed with '}'", "write \\${ for a literal ${"),
        ("abc ${", 4, "'${' is never closed with '}'", "write \\${ for a literal ${"),
        ("${x | ${y}", 0, "'${' is never closed with '}'", "write \\${ for a literal ${"),
        ("ab ${}", 5, "an expression starts with a name, like ${input.prompt}", None),
        ("${input.}", 8, "a name is missing behind '.'", None),
        ("${input.x as}", 12, "a type is missing behind 'as'", None),
        ("${input.x as nmber}", 13, "unknown type 'nmber'", "did you mean 'number'?"),
        ("${input.x as select}", 13, "a select needs its choices, like 'as select/short,long'", None),
        ("${input.x as text/a}", 13, "'text' takes no options behind '/'", None),
        ("${input.x as stream/b}", 13, "cannot stream as 'b'", "use stream/text"),
        ("${input.x as text;sse}", 13, "unknown format ';sse'", "known formats: sse-text, sse-json"),
        ("${input.x as integer | a}", 0, "the default of input.x: expected an integer, got 'a'", None),
        ("${input.x y}", 10, "unexpected 'y' in an expression", "the form is ${path as type | default @(name text)}"),
        ("${input.x @(a b}", 10, "'@(' is never closed with ')'", None),
        ("${input.x @(1)}", 12, "an annotation starts with a name, like @(description Your question)", None),
        ("${input.x[]}", 10, "an index is missing inside []", None),
        ("${input.x[::0]}", 13, "a slice cannot have step 0", None),
        ("${input.x[a]}", 10, "an index is missing inside []", None),
        ("${input.x()}", 9, "unexpected '(' in an expression", "the form is ${path as type | default @(name text)}"),
        ("${input.x+1}", 9, "unexpected '+' in an expression", "the form is ${path as type | default @(name text)}"),
        ("${input.x['a}", 0, "'${' is never closed with '}'", "write \\${ for a literal ${"),
    ],
)
def test_errors_say_what_and_where(text, offset, message, hint):
    error = wrong(text)

    assert (error.offset, error.message, error.hint) == (offset, message, hint)


def test_unknown_type_without_a_near_one_lists_the_types():
    assert wrong("${a as zzzzz}").hint == (
        "known types: string, text, integer, number, boolean, json, object, list, select"
    )


def test_escaped_and_bare_dollars():
    assert parse_template("\\${a} $5 {b} $ {c}").constant == "${a} $5 {b} $ {c}"


def test_offsets_of_nested_expressions_count_in_the_whole_text():
    text = 'é ${input.a | "x ${input.b | ${input.c}}"}'

    assert [text[found.offset :][:9] for found, _ in walk(parse_template(text))] == [
        "${input.a",
        "${input.b",
        "${input.c",
    ]


def test_walk_says_what_stands_only_inside_a_default():
    found = parse_template('${input.rows[${input.n}] | "${input.other}"} ${input.last}')

    assert [(item.path, inside) for item, inside in walk(found)] == [
        ("input.rows[${input.n}]", False),
        ("input.n", False),
        ("input.other", True),
        ("input.last", False),
    ]


def test_an_unfinished_quote_in_a_default_is_text():
    found = sole('${input.a | "half" way ${input.b | "x" y}}')

    assert found.default.parts[0] == '"half" way '
    assert found.default.parts[1].default.constant == '"x" y'


def test_a_quoted_default_keeps_its_spaces_and_braces():
    assert sole("${input.a | ' } \\' \\${b} '}").default.constant == " } ' ${b} "


def test_braces_in_a_bare_default_have_to_match():
    assert sole('${input.a | {"a": {"b": 1}}}').default.constant == '{"a": {"b": 1}}'


def test_a_verbatim_text_is_never_an_expression():
    found = parse_template(Verbatim("a ${input.x} \\${b}"))

    assert found.is_constant
    assert found.constant == "a ${input.x} \\${b}"
    assert parse_template(found.text).constant == found.constant
    assert not parse_template("a ${input.x} \\${b}").is_constant  # the cache keeps them apart


def test_parse_tree_says_which_text_is_wrong():
    with pytest.raises(ExpressionError) as caught:
        parse_tree({"a": ["fine", {"b": "x ${"}]})

    assert caught.value.path == ("a", 1, "b")
    assert caught.value.offset == 2


class TestLimits:
    def test_nesting(self):
        nested = "${a | " * 32 + "x" + "}" * 32
        assert parse_template(nested).sole is not None

        error = wrong("${a | " + nested + "}")
        assert error.message == "expressions are nested deeper than 32"
        assert error.offset == len("${a | ") * 32

    def test_length_of_one_expression(self):
        head = "${input.a | "
        assert parse_template(head + "x" * (MAX_LENGTH - len(head) - 1) + "}").sole is not None

        error = wrong("abc" + head + "x" * MAX_LENGTH + "}")
        assert error.message == "an expression is longer than 20,000 characters, or never closed with '}'"
        assert error.offset == 3

    def test_plain_text_has_no_limit(self):
        text = "x" * (3 * MAX_LENGTH) + "${input.a}"
        assert len(parse_template(text).parts) == 2

    def test_number_of_expressions(self):
        assert len(parse_template("${a}" * MAX_EXPRESSIONS).parts) == MAX_EXPRESSIONS

        error = wrong("${a}" * (MAX_EXPRESSIONS + 1))
        assert error.message == "the text has more than 1,000 expressions"
        assert error.offset == 4 * MAX_EXPRESSIONS

    def test_each_expression_is_read_once(self, monkeypatch):
        """Quoted defaults that turn out to be none are read again, but what is nested in them is not."""
        from mcnb.compose.expressions import parser

        reads = []
        read = parser.parse_path
        monkeypatch.setattr(parser, "parse_path", lambda *args: reads.append(1) or read(*args))

        parse_template('${a | "' * 30 + "x" + '" y}' * 30)

        assert len(reads) == 30
