"""What happens around a form: the page is loaded again, the kernel restarted or busy, the text very long."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser.forms import Form, Opened, finish, run, write_notebook
from tests.browser.lab import needs, open_notebook, run_all, running_lab

pytestmark = needs("jupyterlab")

IDLE = "() => window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"

TOLD = """
import threading
from mcnb.notebook.form.shown_run import ShownRun
long = stories.submit(opening="x", parameters={"max_output_length": 1})
long.wait()
from mcnb.runtime.run import Run
from dataclasses import replace
run = Run(replace(long.record, run_id=Run.new_id(), state="pending", generations=[]))
run._start()
with form.lock:
    form._added(ShownRun(run, {}, {}, {}))

def tell():
    for number in range(%d):
        run._token("__job__", 0, f"line {number} of a long text that nobody reads to its end\\n", number + 1,
                   shown=True, streamed=True)
    run._finish("completed", output="".join(run._pieces))

thread = threading.Thread(target=tell)
thread.start()
"""
"""A run that is told by hand, faster than any model writes."""


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    """The notebook with its two forms, all cells run."""
    scratch = tmp_path_factory.mktemp("life")
    folder = scratch / "notebooks"
    folder.mkdir()
    write_notebook(folder / "forms.ipynb")
    with running_lab(folder, scratch) as lab, open_notebook(lab, "forms.ipynb", height=2400) as page:
        run_all(page)
        found = Opened(page, folder / "forms.ipynb")
        found.outline.wait()
        yield found


def test_a_long_text_is_followed_to_its_end(opened: Opened) -> None:
    form = opened.story.wait()
    opened.in_kernel(TOLD % 20_000)
    form.state("completed")
    assert len(form.root.locator(".mcnb-text").evaluate("text => text.textContent")) > 1_000_000
    shown = "text => text.scrollHeight - text.scrollTop - text.clientHeight"
    opened.page.wait_for_function(
        f"root => ({shown})(root.querySelector('.mcnb-text')) < 10", arg=form.root.element_handle()
    )


def test_a_reader_who_scrolls_up_stays_there(opened: Opened) -> None:
    form = opened.story
    text = form.root.locator(".mcnb-text")
    form.button("Run").evaluate("button => button.focus()")
    opened.in_kernel(TOLD.replace("thread.start()", "") % 2_000)
    opened.in_kernel(
        "for number in range(100):\n"
        "    run._token('__job__', 0, f'first {number}\\n', number, shown=True, streamed=True)"
    )
    form.root.get_by_text("first 99").wait_for()
    text.evaluate("text => { text.scrollTop = 0; }")
    opened.page.wait_for_timeout(200)
    opened.in_kernel("thread.start(); thread.join()")
    form.button("Go to the end").wait_for()
    assert text.evaluate("text => text.scrollTop") == 0
    form.button("Go to the end").click()
    assert text.evaluate("text => text.scrollTop") > 1_000


def test_a_click_while_the_kernel_is_busy_is_not_lost(opened: Opened) -> None:
    form = opened.story
    form.field("Opening").fill("Patience is")
    opened.in_kernel("import threading; gate = threading.Event()")
    opened.page.evaluate(
        """() => {
            const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
            window.busy = kernel.requestExecute({code: 'gate.wait(20)'}).done;
        }"""
    )
    finish(form, lambda: form.button("Run").click())
    opened.page.evaluate("() => window.busy")
    assert form.text.startswith("Patience is")


def test_a_form_shown_twice_shows_the_same(opened: Opened) -> None:
    opened.page.evaluate(
        """async () => {
            const {commands, shell} = window.jupyterapp;
            const notebook = shell.currentWidget.content;
            notebook.activeCellIndex = notebook.widgets.length - 1;
            await commands.execute('notebook:insert-cell-below');
            notebook.activeCell.model.sharedModel.setSource('form');
            await commands.execute('notebook:run-cell');
        }"""
    )
    second = Form(opened.page, 2).wait()
    finish(opened.story, lambda: run(second, "Two windows and"))
    assert second.text == opened.story.text != ""
    assert opened.story.field("Opening").input_value() == "Two windows and"


def test_a_page_that_is_loaded_again_goes_on_with_the_run(opened: Opened) -> None:
    form = opened.story
    opened.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    opened.page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty")
    form.open("Parameters")
    form.field("max_output_length").fill("100")
    form.field("Opening").fill("On and on it went")
    form.button("Run").click()
    form.streams("On and on it went, and")
    opened.page.reload()
    opened.page.wait_for_function(IDLE)
    again = Form(opened.page, 0).wait()
    again.state("completed")
    assert again.text.startswith("On and on it went")
    assert opened.in_kernel("print(form.runs[-1].text)") == again.text.strip()


def test_a_restarted_kernel_leaves_a_form_that_says_so(opened: Opened) -> None:
    form = opened.story.wait()
    opened.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    opened.page.wait_for_function(IDLE)
    form.field("Opening").fill("Into the void")
    form.button("Run").click()
    form.root.get_by_text("The kernel was restarted or has ended.").locator("visible=true").first.wait_for()
    run_all(opened.page)
    opened.page.wait_for_function(IDLE)
    opened.page.wait_for_function("() => !document.querySelector('.mcnb-form')?.innerText.includes('was restarted')")
    assert run(Form(opened.page, 0).wait(), "After the restart").startswith("After the restart")
