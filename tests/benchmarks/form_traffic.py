"""What streaming costs: the form's path, and a ``Textarea.value`` that is set for every token.

``python -m tests.benchmarks.form_traffic [--tokens 2000 8000] [--rates 0 200]``: a run that generates by script, as
fast as possible (rate 0) or so many tokens in a second. Nobody's browser takes part: the figures are the bytes of the
widget's messages as JSON, and the processor time of the whole process, that of the script itself taken off.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import comm
from comm.base_comm import BaseComm

from mcnb.notebook.form import RunForm
from mcnb.runtime import Compose, Record, Run, load

DOCUMENT = '{"component": {"model": "a/model", "text": "${input.prompt as text}"}}'
TOKEN = "token "


class Measured(NamedTuple):
    """What one way of streaming cost.

    Attributes
    ----------
    size : int
        Bytes of its messages.
    messages : int
        How many there were.
    seconds : float
        Of the processor.
    """

    size: int
    messages: int
    seconds: float


class Wire(BaseComm):
    """A comm that counts what it is given, as it would be sent."""

    size = 0
    messages = 0

    def publish_msg(self, msg_type: str, data: Any = None, *_: Any, **__: Any) -> None:
        if msg_type == "comm_msg":
            Wire.size += len(json.dumps(data).encode())
            Wire.messages += 1


class Scripted(Compose):
    """Submits a run that the benchmark plays."""

    def submit(self, workflow: str | None = None, input: Any = None, **_: Any) -> Run:
        chosen = self.document.workflow(workflow).id
        return Run(Record(Run.new_id(), chosen, time.time(), {}, dict(input or {}), {}, 1))


def generate(run: Run, tokens: int, rate: float, told: Callable[[str], object] | None = None) -> None:
    """Play a generation."""
    run._start()
    start = time.perf_counter()
    for number in range(tokens):
        if rate:
            time.sleep(max(0.0, start + number / rate - time.perf_counter()))
        run._token("job", 0, TOKEN, number + 1, shown=True, streamed=True)
        if told is not None:
            told(TOKEN)
    run._finish("completed", output=run.text)


def measured(work: Callable[[], object]) -> Measured:
    """Do something; return what was sent and what it cost."""
    Wire.size = Wire.messages = 0
    start = time.process_time()
    work()
    return Measured(Wire.size, Wire.messages, time.process_time() - start)


def nothing_told(tokens: int, rate: float) -> Measured:
    """The script alone."""
    run = Scripted(load(text=DOCUMENT).document).submit()
    return measured(lambda: generate(run, tokens, rate))


def form(tokens: int, rate: float) -> Measured:
    """The form's way."""
    made = RunForm(Scripted(load(text=DOCUMENT).document), values={"prompt": "a"})

    def work() -> None:
        run = made.run()
        generate(run, tokens, rate)
        thread = made._follower._thread
        if thread is not None:
            thread.join()

    found = measured(work)
    if made.text != TOKEN * tokens:
        raise SystemExit("the form did not tell the whole text")
    made.close()
    return found


def textarea(tokens: int, rate: float) -> Measured:
    """A trait that is set for every token."""
    from ipywidgets import Textarea

    made = Textarea()
    run = Scripted(load(text=DOCUMENT).document).submit()

    def add(text: str) -> None:
        made.value += text

    found = measured(lambda: generate(run, tokens, rate, add))
    made.close()
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, nargs="+", default=[2000, 8000])
    parser.add_argument("--rates", type=float, nargs="+", default=[0, 200], help="tokens in a second; 0: at once")
    arguments = parser.parse_args()
    comm.create_comm = Wire
    print(f"{'tokens':>7} {'rate':>6}  {'way':10} {'messages':>9} {'bytes/token':>12} {'CPU ms/token':>13}")
    for rate in arguments.rates:
        for tokens in arguments.tokens:
            script = nothing_told(tokens, rate).seconds
            for name, way in (("form", form), ("textarea", textarea)):
                found = way(tokens, rate)
                milliseconds = 1000 * max(0.0, found.seconds - script) / tokens
                speed = f"{rate:g}/s" if rate else "full"
                print(
                    f"{tokens:>7} {speed:>6}  {name:10} {found.messages:>9,} "
                    f"{found.size / tokens:>12,.1f} {milliseconds:>13.4f}"
                )


if __name__ == "__main__":
    main()
