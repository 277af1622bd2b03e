"""``%compose`` and ``%%compose``: parse, delegate, show."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand

from mcnb.errors import InvalidInputError
from mcnb.notebook.arguments import HelpShown, environment, make_parser, parse, read_inputs, read_number
from mcnb.notebook.live import Display
from mcnb.notebook.source import Source
from mcnb.runtime import Compose, Run
from mcnb.runtime.rich import mimebundle


@magics_class
class ComposeMagics(Magics):  # type: ignore[misc]
    """The magic. It remembers how to load the compose file that was loaded last, and nothing else."""

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._parser = make_parser()
        self._document = Source()
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
            arguments = parse(self._parser, line)
        except HelpShown as shown:
            print(shown.text)  # noqa: T201 - help belongs into the cell's output
            return None
        return self.load(arguments, cell) if arguments.command == "load" else self.run(arguments, cell)

    def load(self, arguments: Namespace, cell: str | None) -> Compose:
        """Load files, or the cell's body; later runs use it, and see edits of the files."""
        if cell is not None and arguments.files:
            raise InvalidInputError("%%compose load takes the document from the cell, not from -f FILE")
        source = Source(tuple(arguments.files), cell, environment(arguments.env))
        compose = source.open()
        self._document = source
        if arguments.name:
            self.shell.push({arguments.name: compose})
        return compose

    def run(self, arguments: Namespace, cell: str | None) -> Run:
        """Run a workflow and follow it; an interrupt keeps the partial text and stops Run All."""
        source = Source(tuple(arguments.files)) if arguments.files else self._document
        compose = source.with_environment(environment(arguments.env)).open()
        variables = self.shell.user_ns
        values = read_inputs(compose.document, arguments, cell, variables)
        seed = read_number(arguments.seed, "--seed", int, variables)
        timeout = read_number(arguments.timeout, "--timeout", float, variables)
        display = Display(self.shell)
        run = compose.submit(arguments.workflow, values, seed=seed, timeout=timeout)
        try:
            if arguments.name:
                self.shell.push({arguments.name: run})
            display.show(run)
        except KeyboardInterrupt as interrupt:
            run.cancel()
            run.wait()
            display.publish(mimebundle(run))
            told = f"KeyboardInterrupt: stopped after {run.record.usage.output_tokens} tokens; the text so far is kept"
            interrupt._render_traceback_ = lambda: [told]  # type: ignore[attr-defined]
            raise
        if run.error is not None:
            raise run.error
        self._shown = (run.id, self.shell.execution_count)
        return run

    def _display(self, run: Run) -> None:
        """Show a run that is a cell's value, unless the cell's live output shows it already."""
        if self._shown != (run.id, self.shell.execution_count):
            raise NotImplementedError  # IPython goes on with the run's own representations
