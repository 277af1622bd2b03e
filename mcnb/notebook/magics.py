"""``%compose`` and ``%%compose``: parse, delegate, show."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand

from mcnb.compose import Document, parse_pair
from mcnb.errors import InvalidInputError
from mcnb.notebook import listing
from mcnb.notebook.describing import Drawing, Schema, Sentence, connect, describe
from mcnb.notebook.inputs import read_inputs
from mcnb.notebook.parser import CELL_COMMANDS, HelpShown, make_parsers, parse
from mcnb.notebook.running import run_workflow
from mcnb.notebook.settings import Compose as Settings
from mcnb.notebook.source import Source
from mcnb.runtime import Compose, Run
from mcnb.runtime.rich import mimebundle
from mcnb.runtime.table import Table


@magics_class
class ComposeMagics(Magics):  # type: ignore[misc]
    """The magic. It remembers how to load the compose file that was loaded last, and nothing else."""

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._parsers = make_parsers()
        self._shown: tuple[str, int] = ("", -1)
        self.source = Source()
        """Where the compose file is; what completion reads, too."""
        self.settings = Settings(parent=shell)
        if shell is not None:
            shell.configurables.append(self.settings)
            shell.display_formatter.ipython_display_formatter.for_type(Run, self._pass_over)
            shell.display_formatter.mimebundle_formatter.for_type(Run, self._bundle)

    @no_var_expand  # type: ignore[untyped-decorator]
    @line_cell_magic  # type: ignore[untyped-decorator]
    def compose(self, line: str, cell: str | None = None) -> Any:
        """Run local language models from one YAML file.

        ::

            %compose load [FILE]...              load a compose file; model-compose.yml otherwise
            %%compose load                       load the cell's body
            %compose run [WORKFLOW] -i NAME=VALUE...
                                                 run a workflow; --noblock returns at once
            %%compose run [WORKFLOW]             run it with the cell's body as input: a YAML or
                                                 JSON mapping, or simply the text
            %compose form [WORKFLOW]             show a form for a workflow
            %compose validate [FILE]...          check a compose file (%%compose validate: the body)
            %compose schema [WORKFLOW]           show the JSON Schema of a workflow's input
            %compose graph [WORKFLOW]            draw a workflow
            %compose ps                          list the runs that are not done
            %compose history                     list the runs that are done
            %compose cancel [ID]                 stop a run
            %compose models                      list the models in memory and on disk
            %compose unload [MODEL]              take models out of memory
            %compose connect URL                 use a server's models (not in this version)

        Each takes --help. -o NAME binds what a command gives: the Run, the loaded file, the table.
        Values of the notebook enter as -i name=$variable or --input $mapping; nothing else is
        replaced, so {braces} and $names in a cell's body stay as they are. Settings: %config Compose.
        """
        try:
            arguments = parse(self._parsers, line)
        except HelpShown as shown:
            print(shown.text)  # noqa: T201 - help belongs into the cell's output
            return None
        command = arguments.command
        if cell is not None and command not in CELL_COMMANDS:
            hint = f"write it in one line: %compose {command}"
            raise InvalidInputError(f"%%compose {command} takes no cell body", hint=hint)
        value = getattr(self, command)(arguments, cell)
        if getattr(arguments, "name", None) and command != "run":  # a run is bound before it begins
            self.shell.push({arguments.name: value})
        return value

    def load(self, arguments: Namespace, cell: str | None) -> Compose:
        """Load files, or the cell's body; later runs use it, and see edits of the files."""
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
        from mcnb.notebook.form import RunForm

        compose = self._source(arguments).open()
        values = read_inputs(compose.inputs(arguments.workflow), arguments, None, self.shell.user_ns)
        return RunForm(compose, workflow=arguments.workflow, values=values)

    def validate(self, arguments: Namespace, cell: str | None) -> Sentence:
        """Check files, the cell's body, or the loaded document again."""
        given = cell is not None or arguments.paths or arguments.files
        return describe((self._given(arguments, cell) if given else self._source(arguments)).read())

    def schema(self, arguments: Namespace, _: str | None) -> Schema:
        """Show the JSON Schema of a workflow's input, or of compose files."""
        return Schema.of_documents() if arguments.whole else Schema.of(self._document(arguments), arguments.workflow)

    def graph(self, arguments: Namespace, _: str | None) -> Drawing:
        """Draw a workflow."""
        return Drawing(self._document(arguments), arguments.workflow)

    def ps(self, _: Namespace, __: str | None) -> Table:
        """List the runs that are not done."""
        return listing.running()

    def history(self, arguments: Namespace, _: str | None) -> Table:
        """List the runs that are done."""
        return listing.history(arguments.count)

    def cancel(self, arguments: Namespace, _: str | None) -> Sentence:
        """Stop a run."""
        return Sentence(listing.cancel(arguments.id))

    def models(self, _: Namespace, __: str | None) -> Table:
        """List the models in memory and on disk."""
        return listing.models()

    def unload(self, arguments: Namespace, _: str | None) -> Sentence:
        """Take models out of memory."""
        return Sentence(listing.unload(arguments.model))

    def connect(self, arguments: Namespace, _: str | None) -> None:
        """Use a server's models."""
        connect(arguments.url)

    def _document(self, arguments: Namespace) -> Document:
        return self._source(arguments).read()

    def _source(self, arguments: Namespace) -> Source:
        """Return the files of ``-f``, or what was loaded, with the values of ``-e``."""
        source = Source(tuple(arguments.files)) if arguments.files else self.source
        return source.with_values(dict(parse_pair(text, "-e") for text in arguments.env))

    def _given(self, arguments: Namespace, cell: str | None) -> Source:
        files = (*arguments.paths, *arguments.files)
        if cell is not None and files:
            name = f"%%compose {arguments.command}"
            raise InvalidInputError(f"{name} takes the document from the cell, not from {files[0]}")
        return Source(files, cell).with_values(dict(parse_pair(text, "-e") for text in arguments.env))

    def _pass_over(self, run: Run) -> None:
        """Show nothing of a run that is a cell's value when the cell's live output shows it already."""
        if self._shown != (run.id, self.shell.execution_count):
            raise NotImplementedError  # IPython goes on with the run's representations

    def _bundle(self, run: Run) -> dict[str, Any]:
        return mimebundle(run, with_record=self.settings.show_record, name="_")
