from __future__ import annotations

import pytest

from mcnb.compose import Environment, load_document
from mcnb.compose.expressions import render
from tests.compose.documents import component, load, refused, said


def prompt_of(document):
    return document.spec.components[0].actions[0].prompt


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("MCNB_TEST_A", "MCNB_TEST_B"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "model-compose.yml").write_text(component("", prompt="${env.MCNB_TEST_A | none}"))
    return tmp_path


class TestWhichValueWins:
    def test_default(self, folder):
        assert prompt_of(load_document()).constant == "none"

    def test_env_file_beside_the_document(self, folder, monkeypatch):
        (folder / ".env").write_text("MCNB_TEST_A=file\n")
        (folder / "elsewhere").mkdir()
        monkeypatch.chdir(folder / "elsewhere")

        assert prompt_of(load_document("..")).constant == "file"

    def test_named_files_replace_it_and_the_later_wins(self, folder):
        (folder / ".env").write_text("MCNB_TEST_A=beside\nMCNB_TEST_B=beside")
        (folder / "one").write_text("MCNB_TEST_A=one\n")
        (folder / "two").write_text("MCNB_TEST_A=two\n")
        (folder / "three").write_text("OTHER=x\n")
        files = tuple(folder / name for name in ("one", "two", "three"))

        assert prompt_of(load_document(environment=Environment(files))).constant == "two"

    def test_process_over_files(self, folder, monkeypatch):
        (folder / ".env").write_text("MCNB_TEST_A=file\n")
        monkeypatch.setenv("MCNB_TEST_A", "process")

        assert prompt_of(load_document()).constant == "process"

    def test_override_over_everything(self, folder, monkeypatch):
        (folder / ".env").write_text("MCNB_TEST_A=file\n")
        monkeypatch.setenv("MCNB_TEST_A", "process")

        assert prompt_of(load_document(environment=Environment(overrides={"MCNB_TEST_A": "mine"}))).constant == "mine"

    def test_an_empty_value_is_a_value(self, folder):
        (folder / ".env").write_text("MCNB_TEST_A=\n")

        assert prompt_of(load_document()).constant == ""


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("MCNB_TEST_A=plain", "plain"),
        ("  export MCNB_TEST_A = spaced out  ", "spaced out"),
        ("MCNB_TEST_A=a # comment", "a"),
        ("MCNB_TEST_A=a#b", "a#b"),
        ("MCNB_TEST_A=# comment", ""),
        ("MCNB_TEST_A='it # stays' # gone", "it # stays"),
        (r"MCNB_TEST_A='\n'", "\\n"),
        (r'MCNB_TEST_A="two\nlines \"quoted\" \\"', 'two\nlines "quoted" \\'),
        ("MCNB_TEST_A='", "'"),
        ("MCNB_TEST_A=$HOME ${HOME}", "$HOME ${HOME}"),
        ("MCNB_TEST_A=a=b", "a=b"),
        ("MCNB_TEST_A=价格\r", "价格"),
    ],
)
def test_lines_of_env_files(folder, line, value):
    (folder / ".env").write_bytes(f"\ufeff# a comment\n\n{line}\n".encode())

    assert prompt_of(load_document()).constant == value


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"A=1\nnot a line\n", "2:1: expected NAME=value"),
        (b"1A=1\n", "1:1: expected NAME=value"),
        (b"A=\xff\n", "1:1: cannot read the env file: it is not UTF-8 text"),
    ],
)
def test_broken_env_files(folder, content, problem):
    (folder / ".env").write_bytes(content)

    assert str(refused(folder)) == f"{folder / '.env'}:{problem}"


def test_missing_env_file(folder):
    error = refused(folder, environment=Environment((folder / "no.env",)))

    assert str(error) == f"{folder / 'no.env'}:1:1: cannot read the env file: No such file or directory"


NASTY = [
    "${input.secret}",
    "\\${input.secret}",
    "a: b\n- c: [d, {e",
    "'\"\n---\n!!python/object:x",
    "{{7*7}} %s {0}",
    "yes",
    "5",
    "",
    "${env.OTHER} ${",
]


@pytest.mark.parametrize("value", NASTY)
class TestAValueIsOnlyText:
    def test_alone(self, value):
        document = load(component("", prompt="${env.X}"), {"X": value})

        assert prompt_of(document).is_constant
        assert prompt_of(document).constant == value
        assert document.inputs().names == ()

    def test_beside_other_expressions(self, value):
        document = load(component("", prompt='"${env.X} and ${input.a}"'), {"X": value})

        assert document.inputs().names == ("a",)
        assert document.env == {"X": value}
        assert render(prompt_of(document), {"input": {"a": 1}, "env": document.env}) == f"{value} and 1"

    def test_in_a_tree(self, value):
        document = load(component("output: {k: ['${env.X}']}"), {"X": value})

        assert render(document.spec.components[0].actions[0].output, {}) == {"k": [value]}

    def test_in_a_field_that_takes_no_expression(self, value):
        document = load(component("title: ${env.X}"), {"X": value})

        assert document.spec.components[0].title == value

    def test_in_a_list_of_stop_sequences(self, value):
        if value:
            for written in ("['${env.X}']", "${env.X}"):
                document = load(component(f"stop_sequences: {written}"), {"X": value})

                assert document.spec.components[0].actions[0].stop_sequences == (value,)


def test_values_take_the_type_of_their_field():
    document = load(
        component("preload: ${env.P}\nmax_tokens: ${env.N}\nparams: {top_p: '${env.F as number | 0.5}'}"),
        {"P": "true", "N": "12"},
    )
    action = document.spec.components[0].actions[0]

    assert document.spec.components[0].preload is True
    assert action.max_output_length == 12
    assert action.params.top_p == 0.5


def test_a_value_of_the_wrong_type_is_told_at_its_place():
    assert said("controller: {port: '${env.PORT}'}\n" + component(""), {"PORT": "eighty"}) == [
        "1:20: port: expected an integer, got 'eighty'"
    ]
    assert said(component("max_tokens: ${env.N as integer}"), {"N": "x"}) == [
        "4:15: env.N: expected an integer, got 'x'"
    ]


def test_defaults_follow_each_other():
    text = component("", prompt="${env.A | ${env.B | last}}")

    assert prompt_of(load(text, {"A": "a"})).constant == "a"
    assert prompt_of(load(text, {"B": "b"})).constant == "b"
    assert prompt_of(load(text)).constant == "last"
    assert said(component("", prompt="${env.A | ${env.B}}")) == [
        "3:9: neither of the environment variables 'A' and 'B' is set"
    ]


def test_the_environment_as_a_whole_is_not_for_sale(monkeypatch):
    monkeypatch.setenv("MCNB_TEST_SECRET", "s")

    for written in (
        "${env}",
        "${env | x}",
        "${env.A.B | x}",
        "${env[0] | x}",
        "${env[*] | x}",
        "${env[${input.n}] | x}",
    ):
        (problem,) = said(component("", prompt=f'"{written}"'))
        assert problem.endswith("'env' stands before the name of one variable (write ${env.NAME})")


def test_only_mentioned_names_are_kept(monkeypatch):
    monkeypatch.setenv("MCNB_TEST_SECRET", "s")
    document = load(component("", prompt="${env.A} ${input.x}"), {"A": "1", "B": "2"})

    assert document.env == {"A": "1"}
    assert "'1'" not in repr(document).split("spec=")[0]


def test_the_source_holds_no_values():
    document = load(component("", prompt="${env.A}"), {"A": "secret"})

    assert "secret" not in str(document.source)
    assert document.digest == load(component("", prompt="${env.A}"), {"A": "other"}).digest
