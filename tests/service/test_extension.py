"""What the server extension is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcnb.compose import Environment
from mcnb.service.config import server_config
from mcnb.service.endpoint import endpoint_of
from mcnb.service.extension import ServiceExtension, Together, extension_traits
from mcnb.service.options import ServiceOptions
from tests.service.documents import document

pytestmark = pytest.mark.usefixtures("home")


def test_the_settings_are_traits_of_the_extension() -> None:
    found = document({"adapter": {"base_path": "/v1"}, "max_concurrent_count": 3, "shutdown_timeout": "5s"})
    endpoint = endpoint_of(found, ServiceOptions(token="t"))
    traits = extension_traits(found, Environment(), endpoint, "a-1")
    extension = ServiceExtension(**traits)
    assert (extension.running, extension.stop_grace, extension.base_path) == (3, 5.0, "/v1")
    assert Path(extension.database).name == "a-1.sqlite"
    assert all(Path(name).is_absolute() for name in extension.compose_files)


def test_other_sites_are_those_that_the_document_names() -> None:
    found = document({"adapter": {"origins": "https://a.example, *"}})
    config = server_config(endpoint_of(found, ServiceOptions(token="t")), {}, Path())
    assert config.ServerApp.allow_origin_pat == r"https://a\.example\Z"
    assert "allow_origin" not in config.ServerApp
    assert not config.ServerApp.allow_remote_access
    assert not config.ServerApp.allow_unauthenticated_access


def test_a_change_of_any_file_is_seen(tmp_path: Path) -> None:
    first, second = tmp_path / "a.yml", tmp_path / "b.yml"
    first.write_text("component: {model: a/b, text: a}")
    second.write_text("workflow: {title: Old}")
    catalog = Together([first, second], None)
    catalog.refresh()
    assert [entry.workflow.title for entry in catalog.entries] == ["Old"]
    second.write_text("workflow: {title: Newer}")
    catalog.refresh()
    assert [entry.workflow.title for entry in catalog.entries] == ["Newer"]
    second.write_text("workflow: {titel: Wrong}")
    catalog.refresh()
    assert [entry.workflow.title for entry in catalog.entries] == ["Newer"]
    assert len(catalog.problems) == 1
