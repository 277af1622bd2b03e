"""``%compose run``: start a run, follow it in the cell's output, stop it when the cell is interrupted."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from mcnb.notebook.display import Display
from mcnb.notebook.inputs import inputs_of, read_inputs, read_number, read_parameters
from mcnb.notebook.settings import Compose as Settings
from mcnb.runtime import Offering, Run


def run_workflow(
    shell: Any, settings: Settings, compose: Offering, arguments: Namespace, cell: str | None, *, is_quiet: bool
) -> Run:
    """Run a workflow as a cell asks for it, and show it.

    Returns
    -------
    Run
        It is done, unless the cell said ``--noblock`` or the run waits for a person.

    Raises
    ------
    McnbError
        When the input does not fit, or what the run failed with.
    KeyboardInterrupt
        After an interrupt, when computing has stopped: Run All stops here.
    """
    variables = shell.user_ns
    values = read_inputs(inputs_of(compose, arguments), arguments, cell, variables)
    parameters = read_parameters(arguments.parameters, variables)
    seed = read_number(arguments.seed, "--seed", int, variables)
    timeout = read_number(arguments.timeout, "--timeout", float, variables)
    display = None if is_quiet else Display(shell, settings, arguments.name)
    run = compose.submit(
        arguments.workflow,
        values,
        seed=seed,
        parameters=parameters,
        timeout=settings.timeout if timeout is None else timeout,
    )
    try:
        if arguments.name:
            shell.push({arguments.name: run})
        if arguments.noblock:
            if display is not None:
                display.follow_in_thread(run)
            return run
        if display is not None:
            display.follow(run)
        else:
            run.settle()
    except KeyboardInterrupt as interrupt:
        run.cancel()
        run.wait()
        if display is not None:
            display.show(run)
        told = f"KeyboardInterrupt: stopped after {run.record.usage.output_tokens} tokens; the text so far is kept"
        interrupt._render_traceback_ = lambda: [told]  # type: ignore[attr-defined]
        raise
    if run.error is not None:
        raise run.error
    return run
