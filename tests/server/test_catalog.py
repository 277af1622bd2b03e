"""The catalog: which workflows there are, while people edit the files they stand in."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcnb.compose import Environment
from mcnb.errors import InvalidInputError, McnbError, NotFoundError
from mcnb.server.catalog import Catalog

Write = Callable[..., Path]

COMPONENT = {"id": "m", "model": "./nowhere", "text": "${input.prompt as text}"}


def document(*ids: str | None, **more: Any) -> dict[str, Any]:
    """A document with workflows of these ids; None has none."""
    workflows = [{**({} if name is None else {"id": name}), "jobs": [{"component": "m"}], **more} for name in ids]
    return {"component": COMPONENT, **({"workflows": workflows} if workflows else {})}


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to(name: str, content: Any, *, folder: str = "files") -> Path:
        path = tmp_path / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path

    return to


def catalog(*paths: Path, environment: Environment | None = None) -> Catalog:
    made = Catalog(paths, environment)
    made.refresh()
    return made


def ids(found: Catalog) -> list[str]:
    return [entry.id for entry in found.entries]


# --- names ------------------------------------------------------------------------------------------------------------


def test_the_only_file(write: Write) -> None:
    found = catalog(write("model-compose.yml", document("a", "b")))
    assert ids(found) == ["a", "b"]
    assert [entry.default for entry in found.entries] == [False, False]
    with pytest.raises(InvalidInputError, match="a, b"):
        found.find(None)


def test_a_component_alone_and_a_workflow_without_id(write: Write) -> None:
    for content in (document(), document(None)):
        found = catalog(write("model-compose.yml", content))
        assert ids(found) == ["__workflow__"]
        assert found.find(None) is found.find("__workflow__") is found.entries[0]


def test_the_default_of_the_only_file(write: Write) -> None:
    content = document("a", "b")
    content["workflows"][1]["default"] = True
    found = catalog(write("model-compose.yml", content))
    assert found.find(None).id == "b"
    other = write("other.yml", document("c"))
    several = catalog(found.paths[0], other)
    with pytest.raises(InvalidInputError):
        several.find(None)


def test_several_files(write: Write, tmp_path: Path) -> None:
    write("poem.yml", document())
    write("story.yaml", document("tell", None))
    write("jokes.yml", document("tell"))
    found = catalog(tmp_path / "files")
    assert ids(found) == ["jokes.tell", "poem", "story.tell", "story"]
    assert found.find("jokes.tell").workflow.id == "tell"
    assert found.find("poem").workflow.id == "__workflow__"


def test_files_of_one_name_are_called_like_their_folders(write: Write) -> None:
    paths = [write("model-compose.yml", document(), folder=name) for name in ("poem", "story", "more/poem")]
    assert ids(catalog(*paths[:2])) == ["poem", "story"]
    names = ids(catalog(*paths))
    assert len(set(names)) == 3, names


def test_private_workflows_are_not_offered(write: Write) -> None:
    content = document("a", "b")
    content["workflows"][0]["private"] = True
    found = catalog(write("model-compose.yml", content))
    assert ids(found) == ["b"]
    assert found.find(None).id == "b"
    with pytest.raises(NotFoundError):
        found.find("a")


def test_an_unknown_id_names_the_nearest(write: Write) -> None:
    found = catalog(write("model-compose.yml", document("summary", "poem")))
    with pytest.raises(NotFoundError, match="did you mean 'summary'"):
        found.find("sumary")


def test_without_any_workflow(tmp_path: Path) -> None:
    found = catalog(tmp_path)
    assert (found.entries, found.problems) == ((), ())
    for name in (None, "x"):
        with pytest.raises(NotFoundError):
            found.find(name)


@given(name=st.text(max_size=200) | st.sampled_from(["../secret", "/etc/passwd", "files/../secret", "poem.yml", "."]))
def test_what_a_request_names_is_never_a_path(name: str) -> None:
    found = Catalog([])
    with pytest.raises(McnbError):
        found.find(name)


def test_a_path_is_no_id(write: Write, tmp_path: Path) -> None:
    write("secret.yml", document("hidden"), folder="")
    write("poem.yml", document("a"))
    found = catalog(tmp_path / "files")
    for name in ("../secret", str(tmp_path / "secret.yml"), "poem.yml", "secret", "hidden", "../secret.hidden"):
        with pytest.raises(NotFoundError):
            found.find(name)


# --- files ------------------------------------------------------------------------------------------------------------


def test_a_folder_with_the_compose_file_means_that_one(write: Write, tmp_path: Path) -> None:
    write("model-compose.yml", document("a"))
    write("other.yml", document("b"))
    assert ids(catalog(tmp_path / "files")) == ["a"]


def test_other_yaml_files_of_a_folder_are_left_alone(write: Write, tmp_path: Path) -> None:
    write("poem.yml", document("a"))
    write("pipeline.yml", {"stages": ["build"]})
    write("list.yml", "- a\n- b\n")
    write("empty.yaml", "")
    write("notes.txt", "component: {}")
    (tmp_path / "files" / "folder.yml").mkdir()
    found = catalog(tmp_path / "files")
    assert ids(found) == ["a"]
    assert found.problems == ()


def test_a_named_file_that_is_no_compose_file_is_a_problem(write: Write, tmp_path: Path) -> None:
    found = catalog(write("pipeline.yml", {"stages": ["build"]}), tmp_path / "missing.yml")
    assert found.entries == ()
    assert len(found.problems) == 2
    assert all(problem.startswith(("pipeline.yml", "missing.yml")) for problem in found.problems)


def test_edits_are_seen(write: Write, tmp_path: Path) -> None:
    path = write("poem.yml", document("a"))
    found = catalog(tmp_path / "files")
    first = found.find("a")
    found.refresh()
    assert found.find("a").document is first.document, "what has not changed is not read again"
    write("poem.yml", document("a", "b"))
    write("story.yml", document("c"))
    found.refresh()
    assert ids(found) == ["a", "b", "c"]
    assert first.document.digest != found.find("a").document.digest, "who has the old one keeps it"
    path.unlink()
    found.refresh()
    assert ids(found) == ["c"]


def test_an_edited_env_file_is_seen(write: Write, tmp_path: Path) -> None:
    content = document("a")
    content["component"] = {**COMPONENT, "max_output_length": "${env.LENGTH}"}
    write(".env", "LENGTH=5")
    found = catalog(write("model-compose.yml", content))
    length = found.find("a").document.env["LENGTH"]
    write(".env", "LENGTH=50")
    found.refresh()
    assert (length, found.find("a").document.env["LENGTH"]) == ("5", "50")


def test_a_broken_file_keeps_its_last_good_version_and_takes_no_other_down(write: Write, tmp_path: Path) -> None:
    write("poem.yml", document("a"))
    write("story.yml", document("b"))
    write("broken.yml", "component: [")
    found = catalog(tmp_path / "files")
    assert ids(found) == ["a", "b"]
    assert len(found.problems) == 1
    write("poem.yml", "component: {model: 5, nonsense: 1}")
    found.refresh()
    assert ids(found) == ["a", "b"]
    assert len(found.problems) == 2
    assert str(tmp_path) not in " ".join(found.problems), "the server's folders are its own"
    write("poem.yml", document("c"))
    (tmp_path / "files" / "broken.yml").unlink()
    found.refresh()
    assert ids(found) == ["b", "c"] or ids(found) == ["c", "b"]
    assert found.problems == ()


def test_a_named_file_that_vanishes_keeps_its_last_good_version(write: Write) -> None:
    path = write("poem.yml", document("a"))
    found = catalog(path)
    path.unlink()
    found.refresh()
    assert ids(found) == ["a"]
    assert "there is no such file" in found.problems[0]


def test_links_out_of_a_folder_are_not_followed(write: Write, tmp_path: Path) -> None:
    outside = write("secret.yml", document("secret"), folder="outside")
    inside = write("poem.yml", document("poem"))
    folder = inside.parent
    (folder / "out.yml").symlink_to(outside)
    (folder / "model-compose.yml").symlink_to(outside)
    (folder / "same.yml").symlink_to(inside)
    (folder / "dangling.yml").symlink_to(tmp_path / "nothing.yml")
    (folder / "loop.yml").symlink_to(folder / "loop.yml")
    found = catalog(folder)
    assert ids(found) == ["poem"]
    assert found.problems == ()
    assert ids(catalog(folder / "out.yml")) == ["secret"], "who names a link means it"


def test_a_folder_that_cannot_be_read_keeps_what_it_had(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("poem.yml", document("a"))
    found = catalog(tmp_path / "files")

    def refused(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "iterdir", refused)
        found.refresh()
    assert ids(found) == ["a"]
    assert found.problems == ("files: cannot read the folder: Permission denied",)
    (tmp_path / "files").rename(tmp_path / "away")
    found.refresh()
    assert ids(found) == ["a"]
    assert len(found.problems) == 1
    (tmp_path / "away").rename(tmp_path / "files")
    found.refresh()
    assert found.problems == ()


# --- secrets ----------------------------------------------------------------------------------------------------------


def test_problems_tell_no_environment_values_and_no_tokens(write: Write, tmp_path: Path) -> None:
    content = document("a")
    content["component"] = {**COMPONENT, "max_output_length": "${env.LENGTH}", "device": "${env.PLACE}"}
    write(".env", "LENGTH=secret-from-file")
    path = write("model-compose.yml", content)
    found = catalog(path)
    assert "secret-from-file" not in found.problems[0]
    found = catalog(path, environment=Environment(overrides={"LENGTH": "secret-given", "PLACE": "cpu"}))
    assert found.entries == ()
    assert "secret-given" not in found.problems[0]
    assert "***" in found.problems[0]
    token = {**COMPONENT, "model": {"provider": "huggingface", "repository": "a/b", "token": ["hf_in_a_list"]}}
    found = catalog(write("token.yml", {"component": token}))
    assert "hf_in_a_list" not in " ".join(found.problems)


def test_problems_tell_no_folders(write: Write, tmp_path: Path) -> None:
    path = write("model-compose.yml", document("a"))
    env = write("values.env", "no value", folder="elsewhere")
    found = catalog(path, tmp_path / "gone" / "missing.yml", environment=Environment(files=(env,)))
    assert len(found.problems) == 2
    assert "values.env" in found.problems[0]
    assert str(tmp_path) not in " ".join(found.problems)


def test_the_environment_is_the_one_that_was_given(write: Write) -> None:
    content = document("a")
    content["workflows"][0]["title"] = "${env.TITLE}"
    found = catalog(write("model-compose.yml", content), environment=Environment(overrides={"TITLE": "Given"}))
    assert found.entries[0].document.env == {"TITLE": "Given"}
