"""The commands of ``%compose``: each parses nothing, and delegates."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, Any

from mcnb.compose import Document
from mcnb.errors import InvalidInputError
from mcnb.notebook import listing
from mcnb.notebook.connected import Connected
from mcnb.notebook.describing import Drawing, Schema, Sentence, describe
from mcnb.notebook.inputs import inputs_of, read_env, read_inputs
from mcnb.notebook.running import run_workflow
from mcnb.notebook.source import Source
from mcnb.runtime import Compose, Offering, Run
from mcnb.runtime.rich import mimebundle
from mcnb.runtime.table import Table

if TYPE_CHECKING:
    from mcnb.notebook.settings import Compose as Settings


class Commands:
    """One method for each command. They remember how to load the compose file that was loaded last, and nothing else.

    Parameters
    ----------
    shell : InteractiveShell
        IPython's.
    settings : Settings
        Those of ``%config Compose``.

    Attributes
    ----------
    source : Source
        Where the compose file is; what completion reads, too. After ``connect``, a server.
    """

    def __init__(self, shell: Any, settings: Settings) -> None:
        self.shell = shell
        self.settings = settings
        self.source: Source | Connected = Source()
        self._shown: tuple[str, int] = ("", -1)

    def load(self, arguments: Namespace, cell: str | None) -> Compose:
        """Load files, or the cell's body; later runs use it, and see edits of the files. A server is left."""
        source = self._given(arguments, cell)
        compose = source.open()
        self.source = source
        return compose

    def run(self, arguments: Namespace, cell: str | None) -> Run | None:
        """Run a workflow and show it; ``--quiet`` gives the Run to ``-o NAME``, or else as the value."""
        is_quiet = arguments.quiet or self.settings.quiet
        compose = self._source(arguments).open()
        run = run_workflow(self.shell, self.settings, compose, arguments, cell, is_quiet=is_quiet)
        if is_quiet and arguments.name:
            return None  # a value would be shown; and what the cell shows itself of the run is to be seen
        self._shown = (run.id, self.shell.execution_count)
        return run

    def form(self, arguments: Namespace, _: str | None) -> Any:
        """Show a form."""
        compose = self._source(arguments).open()
        values = read_inputs(inputs_of(compose, arguments), arguments, None, self.shell.user_ns)
        return compose.form(arguments.workflow, values)

    def validate(self, arguments: Namespace, cell: str | None) -> Sentence:
        """Check files, the cell's body, or the loaded document again."""
        given = cell is not None or arguments.paths or arguments.files
        return describe((self._given(arguments, cell) if given else self._source(arguments)).read())

    def schema(self, arguments: Namespace, _: str | None) -> Schema:
        """Show the JSON Schema of a workflow's input, or of compose files."""
        return Schema.of_documents() if arguments.whole else Schema.of(*self._chosen(arguments))

    def graph(self, arguments: Namespace, _: str | None) -> Drawing:
        """Draw a workflow."""
        return Drawing(*self._chosen(arguments))

    def ps(self, _: Namespace, __: str | None) -> Table:
        """List the runs that are not done."""
        return self.source.running() if isinstance(self.source, Connected) else listing.running()

    def history(self, arguments: Namespace, _: str | None) -> Table:
        """List the runs that are done."""
        remote = self.source.compose.runs if isinstance(self.source, Connected) else None
        return listing.history(arguments.count, remote)

    def cancel(self, arguments: Namespace, _: str | None) -> Sentence:
        """Stop a run."""
        cancel = self.source.cancel if isinstance(self.source, Connected) else listing.cancel
        return Sentence(cancel(arguments.id))

    def models(self, _: Namespace, __: str | None) -> Table:
        """List the models in memory and on disk."""
        return listing.models()

    def unload(self, arguments: Namespace, _: str | None) -> Sentence:
        """Take models out of memory."""
        return Sentence(listing.unload(arguments.model))

    def connect(self, arguments: Namespace, _: str | None) -> Offering:
        """Let a server compute later runs; ``load`` comes back."""
        from mcnb.client import connect

        compose = connect(arguments.url, arguments.token)
        self.source = Connected(compose)
        return compose

    def _chosen(self, arguments: Namespace) -> tuple[Document, str]:
        return self._source(arguments).chosen(arguments.workflow)

    def _source(self, arguments: Namespace) -> Source | Connected:
        """Return the files of ``-f``, or what was loaded, with the values of ``-e``."""
        source = Source(tuple(arguments.files)) if arguments.files else self.source
        return source.with_values(read_env(arguments.env, self.shell.user_ns))

    def _given(self, arguments: Namespace, cell: str | None) -> Source:
        files = (*arguments.paths, *arguments.files)
        if cell is not None and files:
            name = f"%%compose {arguments.command}"
            raise InvalidInputError(f"{name} takes the document from the cell, not from {files[0]}")
        return Source(files, cell).with_values(read_env(arguments.env, self.shell.user_ns))

    def is_shown(self, run: Run) -> bool:
        """Whether the present cell shows a run already, or was told to show nothing of it."""
        return self._shown == (run.id, self.shell.execution_count)

    def bundle(self, run: Run) -> dict[str, Any]:
        """Return what a run looks like that is a cell's value."""
        return mimebundle(run, with_record=self.settings.show_record, name="_")
