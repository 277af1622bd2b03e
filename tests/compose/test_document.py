from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

import mcnb.compose
from mcnb.compose import Environment, document_from_source, load_document
from mcnb.errors import DocumentError, InvalidInputError, Location
from tests.compose.documents import GOOD, ONE, load

SEVERAL = """
components:
  - {id: writer, model: a/b, text: x}
  - {id: reader, model: a/b, actions: [{id: a, prompt: x}, {id: b, prompt: x, default: true}]}
workflows:
  - {id: one, component: writer}
  - {id: two, component: reader, action: a, title: T}
"""


def test_the_public_names():
    assert set(mcnb.compose.__all__) == {
        "Document",
        "Environment",
        "Input",
        "Inputs",
        "check_input",
        "document_from_source",
        "document_schema",
        "input_schema",
        "load_document",
        "parse_pair",
        "parse_text_value",
    }
    assert all(hasattr(mcnb.compose, name) for name in mcnb.compose.__all__)


class TestDefaults:
    def test_the_only_one(self):
        document = load(ONE)

        assert document.workflow() == document.workflows[0]
        assert document.workflow().id == "__workflow__"
        assert document.component() is document.spec.components[0]
        assert document.called(document.workflow().jobs[0]) == (document.component(), document.component().actions[0])

    def test_by_id(self):
        document = load(SEVERAL)

        assert document.workflow("two").title == "T"
        assert document.component("reader").id == "reader"
        assert document.called(document.workflow("two").jobs[0])[1].id == "a"
        assert document.called(document.workflow("one").jobs[0])[0].id == "writer"

    def test_the_marked_one(self):
        document = load(SEVERAL.replace("{id: two,", "{id: two, default: true,"))

        assert document.workflow().id == "two"

    @pytest.mark.parametrize(
        ("what", "name", "message", "hint"),
        [
            ("workflow", None, "there are several workflows and none is the default", "name one: one, two"),
            ("workflow", "thre", "there is no workflow 'thre'", "known: one, two"),
            ("component", "writr", "there is no component 'writr'", "did you mean 'writer'?"),
        ],
    )
    def test_errors_list_the_ids(self, what, name, message, hint):
        with pytest.raises(InvalidInputError) as caught:
            getattr(load(SEVERAL), what)(name)

        assert (caught.value.message, caught.value.hint) == (message, hint)

    def test_no_component(self):
        document = load("workflow: {job: {type: delay, duration: 1s}}")

        with pytest.raises(InvalidInputError, match=r"^the document has no component$"):
            document.component()


class TestDigest:
    def test_is_that_of_the_content(self):
        assert load(ONE).digest == load("# a comment\ncomponent:\n  text: hello\n  model: a/b\n").digest
        assert load(ONE).digest != load(ONE.replace("hello", "Hello")).digest
        assert len(load(ONE).digest) == 64

    def test_is_the_same_tomorrow(self):
        assert load(ONE).digest == "f4e176dc15c9b6a7d45dbff573d29db64b65d5c952fc033c1831747a6829a21a"


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_a_record_brings_the_document_back(path):
    document = load_document(path)
    source = json.loads(json.dumps(document.source))

    again = document_from_source(source, document.folder)

    assert again.spec == document.spec
    assert again.digest == document.digest
    assert again.inputs() == document.inputs()
    assert (again.folder, again.files) == (document.folder, ("<record>",))


def test_a_broken_record():
    with pytest.raises(DocumentError) as caught:
        document_from_source({"component": {"model": "a/b", "txt": "x"}}, Path())

    assert [problem.location for problem in caught.value.problems] == [Location("<record>", 1, 1)]


def test_a_record_takes_todays_environment():
    source = load(ONE.replace("hello", "'${env.A}'"), {"A": "then"}).source
    again = document_from_source(source, Path(), Environment(overrides={"A": "now"}))

    assert again.spec.components[0].actions[0].prompt.constant == "now"


def test_a_document_never_changes():
    document = load(ONE)

    with pytest.raises(dataclasses.FrozenInstanceError):
        document.spec = None


class TestFiles:
    @pytest.fixture
    def folder(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        return tmp_path

    @pytest.mark.parametrize("name", ["model-compose.yml", "model-compose.yaml"])
    def test_the_one_of_the_working_directory(self, folder, name):
        (folder / name).write_text(ONE)

        document = load_document()

        assert document.files == (name,)
        assert document.folder == folder.resolve()

    def test_yml_goes_before_yaml(self, folder):
        (folder / "model-compose.yaml").write_text(ONE)
        (folder / "model-compose.yml").write_text(ONE.replace("hello", "first"))

        assert load_document().spec.components[0].actions[0].prompt.constant == "first"

    def test_a_folder_means_the_file_in_it(self, folder):
        (folder / "sub").mkdir()
        (folder / "sub" / "model-compose.yml").write_text(ONE)

        assert load_document("sub").folder == (folder / "sub").resolve()
        assert load_document(Path("sub") / "model-compose.yml").folder == (folder / "sub").resolve()

    def test_utf_8_with_a_mark_and_windows_lines(self, folder):
        (folder / "model-compose.yml").write_bytes(
            b"\xef\xbb\xbf" + "component:\r\n  model: a/b\r\n  text: |\r\n    字\r\n    b\r\n".encode()
        )

        assert load_document().spec.components[0].actions[0].prompt.constant == "字\nb\n"

    @pytest.mark.parametrize(
        ("path", "message"),
        [
            (
                ".",
                "there is no model-compose.yml or model-compose.yaml in the working directory (name a file with",
            ),
            ("sub", "there is no model-compose.yml or model-compose.yaml in sub (name a file with -f FILE)"),
            ("no.yml", "no.yml:1:1: there is no such file"),
            (
                "~nobody-by-this-name/x.yml",
                "~nobody-by-this-name/x.yml:1:1: cannot read the file: Could not determine home",
            ),
        ],
    )
    def test_nothing_there(self, folder, path, message):
        (folder / "sub").mkdir()

        with pytest.raises(DocumentError) as caught:
            load_document(path)

        assert str(caught.value).startswith(message)

    def test_a_name_that_is_none(self, folder):
        with pytest.raises(DocumentError, match="cannot read the file"):
            load_document("a\0b")

    def test_a_text_stands_in_the_working_directory(self, folder):
        document = load_document(text=ONE, name="cell")

        assert (document.folder, document.files) == (folder.resolve(), ("cell",))

    def test_a_device_is_not_read_to_its_end(self):
        device = Path("/dev/zero")
        if not device.exists():
            pytest.skip("no such device here")

        with pytest.raises(DocumentError, match="the file has more than 1,000,000 bytes"):
            load_document(device)


def test_the_document_layer_needs_neither_torch_nor_jupyter():
    program = (
        "import sys, mcnb.compose\n"
        "mcnb.compose.load_document(text='component: {model: a/b, text: hello}')\n"
        "banned = {'torch', 'transformers', 'IPython', 'ipywidgets', 'jupyter_server', 'tornado', 'numpy', 'pandas',"
        " 'huggingface_hub', 'click', 'traitlets'}\n"
        "print(sorted(banned & {name.partition('.')[0] for name in sys.modules}))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert (done.stdout.strip(), done.stderr) == ("[]", "")
