"""State files: found again, private, and cleaned up when their process ended without a word."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from mcnb.errors import ConflictError, InvalidInputError
from mcnb.service import registry
from mcnb.service.registry import Claim, claimed, find_service, service_name, services, services_home

FILES = ("/a/poem/model-compose.yml",)

pytestmark = pytest.mark.usefixtures("home")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_service_is_found_while_it_runs() -> None:
    assert services() == []
    with claimed("poem-1", FILES) as claim:
        assert services()[0].address == ""
        ready = claim.ready(address="http://a:1/api", form="http://a:2", token="secret", since=5.0)
        assert services() == [ready]
        assert mode(claim.path) == 0o600
        assert mode(services_home()) == 0o700
        assert "secret" not in repr(ready)
        assert [path.name for path in services_home().iterdir()] == ["poem-1.json"]
        for word in ("poem-1", "poem", str(os.getpid()), FILES[0]):
            assert find_service(word) == ready
    assert services() == []
    assert not claim.path.exists()


def test_two_services_of_one_file_are_refused() -> None:
    with claimed("poem-1", FILES) as claim:
        claim.ready(address="http://a:1/api", form="", token="", since=5.0)
        with pytest.raises(ConflictError, match=r"served already at http://a:1/api.*mcnb down poem-1"):
            Claim("poem-1", FILES)
        with claimed("poem-2", FILES):
            assert len(services()) == 2
            with pytest.raises(InvalidInputError, match=r"could be any.*poem-1, poem-2"):
                find_service("poem")


def killed_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process.kill()
    process.communicate()
    return process.pid


def test_what_a_killed_process_left_is_cleaned_up() -> None:
    claim = Claim("poem-1", FILES)
    claim.path.write_text(json.dumps(asdict(replace(claim.service, pid=killed_process()))))
    assert services() == []
    assert not claim.path.exists()


def test_what_a_killed_process_left_is_in_nobodys_way() -> None:
    claim = Claim("poem-1", FILES)
    claim.path.write_text(json.dumps(asdict(replace(claim.service, pid=killed_process()))))
    with claimed("poem-1", FILES):
        assert len(services()) == 1


def test_another_process_with_the_same_pid_is_another_one() -> None:
    claim = Claim("poem-1", FILES)
    claim.path.write_text(json.dumps(asdict(replace(claim.service, started=1.0))))
    assert services() == []


def test_a_process_that_waits_to_be_collected_is_over() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.DEVNULL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert registry.started_at(process.pid) is None
    process.wait()


def test_services_of_other_machines_are_left_alone() -> None:
    claim = Claim("poem-1", FILES)
    claim.path.write_text(json.dumps(asdict(replace(claim.service, machine="elsewhere", started=1.0))))
    assert len(services()) == 1


@pytest.mark.parametrize("content", ["", "{", "[]", '{"name": 1}'])
def test_a_damaged_state_file_is_removed(content: str) -> None:
    path = services_home() / "poem-1.json"
    path.write_text(content)
    assert services() == []
    assert not path.exists()


def test_only_ones_own_state_file_is_removed() -> None:
    claim = Claim("poem-1", FILES)
    other = json.dumps(asdict(replace(claim.service, address="http://other")))
    claim.path.write_text(other)
    claim.release()
    assert claim.path.read_text() == other


def test_names() -> None:
    name = service_name(FILES)
    assert name.startswith("poem-")
    assert name == service_name(FILES) != service_name(("/b/poem/model-compose.yml",))
    assert service_name(("/a/My Tale!.yml",)).startswith("My-Tale-")
    assert "/" not in service_name(("/model-compose.yml",))


def test_a_service_that_is_not_there() -> None:
    with pytest.raises(InvalidInputError, match="no service 'x' is running; 'mcnb up' starts one"):
        find_service("x")
