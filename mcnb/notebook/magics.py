"""``%compose`` and ``%%compose``: parse, delegate, show."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from typing import Any

from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand

from mcnb.compose import load_document
from mcnb.errors import InvalidInputError
from mcnb.notebook.arguments import HelpShown, environment, make_parser, read_inputs, split
from mcnb.notebook.live import Display, follow
from mcnb.runtime import Compose, Run, load


@magics_class
class ComposeMagics(Magics):  # type: ignore[misc]
    """The magic. It remembers how to load the compose file that was loaded last, and nothing else."""

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._parser = make_parser()
        self._reload: Callable[[], Compose] = load
        self._shown: tuple[str, int] = ("", -1)
        if shell is not None:
            shell.display_formatter.ipython_display_formatter.for_type(Run, self._display)

    @no_var_expand  # type: ignore[untyped-decorator]
    @line_cell_magic  # type: ignore[untyped-decorator]
    def compose(self, line: str, cell: str | None = None) -> Any:
        """Run local language models from one YAML file.

        ::

            %compose load [-f FILE]... [-o NAME]         load a compose file
            %%compose load [-o NAME]                     load the cell's body
            %compose run [WORKFLOW] [-i NAME=VALUE]...   run a workflow
            %%compose run [WORKFLOW]                     run it with the cell's body as input

        Each takes --help.
        """
        try:
            arguments = self._parser.parse_args(split(line))
        except HelpShown as shown:
            print(shown.text)  # noqa: T201 - help belongs into the cell's output
            return None
        if arguments.command == "load":
            return self.load(arguments, cell)
        if arguments.command == "run":
            return self.run(arguments, cell)
        raise InvalidInputError("%compose needs a command: load or run", hint="see %compose --help")

    def load(self, arguments: Namespace, cell: str | None) -> Compose:
        """Load files, or the cell's body; later runs use it, and see edits of the files."""
        values = environment(arguments.env)
        if cell is None:
            self._reload = lambda: load(*arguments.files, env=values.overrides)
        elif arguments.files:
            raise InvalidInputError("%%compose load takes the document from the cell, not from -f FILE")
        else:
            loaded = Compose(load_document(text=cell, name="<cell>", environment=values))
            self._reload = lambda: loaded
        compose = self._reload()
        if arguments.name:
            self._bind(arguments.name, compose)
        return compose

    def run(self, arguments: Namespace, cell: str | None) -> Run | None:
        """Run a workflow and follow it; an interrupt keeps the partial text and stops Run All."""
        if arguments.files or arguments.env:
            compose = load(*arguments.files, env=environment(arguments.env).overrides)
        else:
            compose = self._reload()
        values = read_inputs(compose.document, arguments, cell, self.shell.user_ns)
        run = compose.submit(arguments.workflow, values, seed=arguments.seed, timeout=arguments.timeout)
        if arguments.name:
            self._bind(arguments.name, run)
        display = Display()
        try:
            follow(run, display.publish)
        except KeyboardInterrupt:
            run.cancel()
            run.wait()
            follow(run, display.publish)
            raise
        if run.error is not None:
            raise run.error
        self._shown = (run.id, self.shell.execution_count)
        return None if arguments.name else run

    def _display(self, run: Run) -> None:
        """Show a run that is a cell's value, unless the cell's live output shows it already."""
        if self._shown != (run.id, self.shell.execution_count):
            raise NotImplementedError  # IPython goes on with the run's own representations

    def _bind(self, name: str, value: object) -> None:
        if not name.isidentifier():
            raise InvalidInputError(f"-o {name}: not a variable name")
        self.shell.push({name: value})
