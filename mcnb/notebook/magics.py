"""``%compose`` and ``%%compose``: parse, and call the command.

Nothing heavy is imported before a command is: ``%load_ext mcnb`` may stand at the top of every notebook.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand

from mcnb.errors import InvalidInputError
from mcnb.notebook.parser import CELL_COMMANDS, HelpShown, make_parsers, parse
from mcnb.notebook.settings import Compose as Settings

if TYPE_CHECKING:
    from mcnb.notebook.commands import Commands
    from mcnb.runtime import Run


@magics_class
class ComposeMagics(Magics):  # type: ignore[misc]
    """The magic."""

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._parsers = make_parsers()
        self.settings = Settings(parent=shell)
        if shell is not None:
            shell.configurables.append(self.settings)
            formatter = shell.display_formatter
            formatter.ipython_display_formatter.for_type_by_name("mcnb.runtime.run", "Run", self._pass_over)
            formatter.mimebundle_formatter.for_type_by_name("mcnb.runtime.run", "Run", self._bundle)

    @cached_property
    def commands(self) -> Commands:
        """What does the work."""
        from mcnb.notebook.commands import Commands

        return Commands(self.shell, self.settings)

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
            %compose connect URL                 let a server compute; load comes back

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
        value = getattr(self.commands, command)(arguments, cell)
        if getattr(arguments, "name", None) and command != "run":  # a run is bound before it begins
            self.shell.push({arguments.name: value})
        return value

    def _pass_over(self, run: Run) -> None:
        """Show nothing of a run that is a cell's value when the cell's live output shows it already."""
        if not self.commands.is_shown(run):
            raise NotImplementedError  # IPython goes on with the run's representations

    def _bundle(self, run: Run) -> dict[str, Any]:
        return self.commands.bundle(run)
