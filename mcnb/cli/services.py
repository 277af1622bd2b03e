"""``mcnb down``, ``mcnb ps``, ``mcnb logs``."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mcnb.cli.terminal import table
from mcnb.errors import InvalidInputError

if TYPE_CHECKING:
    from mcnb.service.registry import Service


@click.command()
@click.argument("name", required=False)
@click.option("--all", "everything", is_flag=True, help="Stop all services.")
def down(name: str | None, everything: bool) -> None:
    """Stop a service that 'mcnb up' started, and wait until its runs are finished or given up.

    NAME is as 'mcnb ps' shows it, or a compose file; it can be left out when there is one service alone.
    """
    from mcnb.service.registry import services
    from mcnb.service.stopping import stop

    if name and everything:
        raise InvalidInputError("name a service or give --all, not both")
    for service in services() if everything else [_chosen(name)]:
        stop(service)
        click.echo(f"{service.name} is stopped")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a list, for programs.")
def ps(*, as_json: bool) -> None:
    """List the services that 'mcnb up' started."""
    from mcnb.service.registry import services

    found = [_described(service) for service in services()]
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False, indent=2))
    elif found:
        click.echo(table([_row(service) for service in found], right=("pid",)))
    else:
        click.echo("no service is running; 'mcnb up' starts one")


@click.command()
@click.argument("name", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on until Ctrl-C.")
@click.option("-n", "--lines", type=click.IntRange(0), default=100, show_default=True, help="How many of the last.")
def logs(name: str | None, follow: bool, lines: int) -> None:
    """Show the log of a service.

    NAME is as in 'mcnb down'; a service that was stopped still has its log.
    """
    from mcnb.service.tail import follow_lines, last_lines

    path = _log(name)
    for line in last_lines(path, lines):
        click.echo(line)
    if follow:
        for line in follow_lines(path):
            click.echo(line)


def _chosen(name: str | None) -> Service:
    from mcnb.service.registry import find_service, services

    if name is not None:
        return find_service(name)
    running = services()
    if len(running) == 1:
        return running[0]
    if not running:
        raise InvalidInputError("no service is running", hint="'mcnb up' starts one")
    raise InvalidInputError(
        "several services are running", hint=f"name one: {', '.join(item.name for item in running)}"
    )


def _described(service: Service) -> dict[str, Any]:
    from mcnb.service.stopping import ask_load

    load = ask_load(service)
    return {
        "name": service.name,
        "address": service.address or None,
        "pid": service.pid,
        "since": service.since or service.started,
        "state": "running" if load else ("starting", "not answering")[bool(service.since)],
        "queued": load.queued if load else None,
        "running": load.running if load else None,
        "files": list(service.files),
    }


def _row(found: dict[str, Any]) -> dict[str, Any]:
    answers = found["state"] == "running"
    return {
        "name": found["name"],
        "address": found["address"] or "-",
        "pid": found["pid"],
        "since": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(found["since"])),
        "runs": f"{found['queued']} queued, {found['running']} running" if answers else found["state"],
        "file": ", ".join(found["files"]),
    }


def _log(name: str | None) -> Path:
    """Return the log of a service that runs, or of one that did."""
    from mcnb.service.registry import log_file, services_home

    try:
        return log_file(_chosen(name).name)
    except InvalidInputError:
        known = sorted(services_home().glob("*.log"), key=lambda path: path.stat().st_mtime)
        found = [path for path in known if name is None or path.stem.startswith(name)]
        if name is None and len(found) != 1:
            raise
        exact = [path for path in found if path.stem == name]
        if len(exact or found) != 1:
            raise
        return (exact or found)[0]
