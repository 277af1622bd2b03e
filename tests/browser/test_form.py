"""The form in a real JupyterLab, with a real kernel and SmolLM2, in both ways in which widgets talk to a kernel."""

from __future__ import annotations

import json
from collections.abc import Iterator

import nbformat
import pytest

from tests.browser.forms import Form, Opened, finish, run, write_notebook
from tests.browser.lab import needs, open_notebook, run_all, running_lab

pytestmark = needs("jupyterlab")

LONG = "1000"
NOTEBOOK = "forms.ipynb"
FOCUSED = "document.activeElement.closest('[data-field]')?.dataset.field"


@pytest.fixture(scope="module", params=["perCommTarget", "disabled"])
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    """The notebook with its two forms, all cells run, in one mode of the widgets' messages."""
    scratch = tmp_path_factory.mktemp("forms")
    folder = scratch / "notebooks"
    folder.mkdir()
    write_notebook(folder / NOTEBOOK)
    with (
        running_lab(folder, scratch, comms=request.param) as lab,
        open_notebook(lab, NOTEBOOK, height=2400) as page,
    ):
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        run_all(page)
        found = Opened(page, folder / NOTEBOOK)
        found.story.wait()
        found.outline.wait()
        yield found
        assert problems == []


@pytest.fixture(autouse=True)
def _fresh(opened: Opened) -> None:
    """Put the first form back to how it was: no runs going on, nothing set."""
    opened.in_kernel(
        "for run in stories.runs: run.cancel(); run.wait()\n"
        "form.values, form.overrides, form.workflow, form.mode = {}, {}, 'story', 'one'"
    )
    opened.story.root.locator(".mcnb-main:visible:enabled").wait_for()


def limit(form: Form, tokens: str) -> None:
    """Set how many tokens the next runs may give."""
    if not form.root.locator(".mcnb-parameters[open]").count():
        form.open("Parameters")
    form.field("max_output_length").fill(tokens)


def test_the_text_streams_in(opened: Opened) -> None:
    opened.page.evaluate(
        """() => {
            window.lengths = [];
            const text = document.querySelector('.mcnb-text');
            new MutationObserver(() => window.lengths.push(text.textContent.length))
                .observe(text, {subtree: true, childList: true, characterData: true});
        }"""
    )
    text = run(opened.story, "Once upon a time")
    assert text.startswith("Once upon a time")
    assert "tokens in, 32 out" in opened.story.line
    lengths = [length for length in opened.page.evaluate("() => window.lengths") if length]
    assert len(lengths) >= 5
    assert lengths == sorted(lengths)
    assert opened.in_kernel("print(form.runs[-1].text)") == text.strip()


def test_stop_ends_the_computing_and_keeps_the_text(opened: Opened) -> None:
    form = opened.story
    limit(form, LONG)
    form.field("Opening").fill("The sea was")
    form.button("Run").click()
    form.state("processing")
    form.streams("The sea was")
    form.button("Stop").click()
    form.state("cancelled")
    assert form.text.startswith("The sea was")
    assert form.line.startswith("Stopped.")
    tokens = int(opened.in_kernel("print(form.runs[-1].record.usage.output_tokens)"))
    assert 0 < tokens < int(LONG)
    assert opened.in_kernel("print(form.runs[-1].state)") == "cancelled"


def test_a_second_run_waits_visibly_and_is_shown_next(opened: Opened) -> None:
    form = opened.story
    limit(form, LONG)
    form.field("Opening").fill("First of all")
    form.button("Run").click()
    form.streams("First of all")
    limit(form, "8")
    form.field("Opening").fill("Second in line")
    form.button("Run").click()
    form.root.get_by_text("1 run is waiting").wait_for()
    assert form.text.startswith("First of all")
    form.button("Stop").click()
    form.state("completed")
    assert form.text.startswith("Second in line")


def test_repeat_exactly_gives_the_same_text(opened: Opened) -> None:
    form = opened.story
    first = run(form, "Long ago in a small town")
    finish(form, lambda: form.button("Repeat exactly").click())
    assert form.text == first
    assert opened.in_kernel("print(form.runs[-1].id != form.runs[-2].id)") == "True"


def test_an_empty_required_field_is_told_where_it_is(opened: Opened) -> None:
    form = opened.story
    runs = opened.in_kernel("print(len(form.runs))")
    form.field("Opening").fill("")
    form.button("Run").click()
    form.root.locator(".mcnb-message", has_text="Please fill this in.").wait_for()
    opened.page.wait_for_function(f"() => {FOCUSED} === 'opening'")
    assert form.field("Opening").get_attribute("aria-invalid") == "true"
    assert opened.in_kernel("print(len(form.runs))") == runs
    run(form, "Now it is there")
    assert form.errors == []


def test_a_wrong_parameter_is_told_where_it_is(opened: Opened) -> None:
    form = opened.story
    form.field("Opening").fill("Anything")
    limit(form, "0")
    form.button("Run").click()
    opened.page.wait_for_function(
        "() => document.activeElement.closest('[data-field]')?.dataset.field === 'max_output_length'"
    )
    assert len(form.errors) == 1


def test_what_was_typed_stays_while_it_is_sent(opened: Opened) -> None:
    form = opened.story
    limit(form, "5")
    opened.page.wait_for_timeout(400)
    form.field("Opening").fill("Typed later")
    opened.page.wait_for_timeout(400)
    assert opened.in_kernel("print(form.overrides['story']['max_output_length'], form.values['story'])") == (
        "5 {'opening': 'Typed later'}"
    )
    assert form.field("max_output_length").input_value() == "5"
    finish(form, lambda: form.button("Run").click())
    assert "5 out" in form.line


def test_json_is_checked_while_it_is_typed(opened: Opened) -> None:
    form = opened.story
    form.field("Workflow").select_option("letter")
    form.field("Facts").fill('{"a": ')
    form.root.get_by_text("Not valid JSON yet").wait_for()
    form.field("Facts").fill('{"a": 1}')
    assert form.errors == []


def test_a_slider_and_its_number_go_together(opened: Opened) -> None:
    form = opened.story
    form.field("Workflow").select_option("letter")
    form.root.get_by_label("Length (slider)").fill("10")
    assert form.field("Length").first.input_value() == "10"
    form.field("Name").fill("Ada")
    finish(form, lambda: form.button("Run").click())
    assert "10 out" in form.line


def test_the_history_shows_a_run_again_and_puts_its_inputs_back(opened: Opened) -> None:
    form = opened.story
    limit(form, "6")
    first = run(form, "The first opening")
    limit(form, "7")
    run(form, "The second opening")
    if not form.root.locator(".mcnb-history[open]").count():
        form.open("History")
    form.root.locator(".mcnb-entry", has_text="The first opening").first.click()
    opened.page.wait_for_function(
        "([root, text]) => root.querySelector('.mcnb-text').textContent === text",
        arg=[form.root.element_handle(), first],
    )
    assert form.field("Opening").input_value() == "The first opening"
    assert form.field("max_output_length").input_value() == "6"


def test_a_run_can_be_copied_as_code(opened: Opened) -> None:
    form = opened.story
    text = run(form, "A bird in the hand")
    form.button("Copy as code").click()
    code = form.root.locator(".mcnb-codes pre")
    code.get_by_text("%compose run").wait_for()
    said = opened.in_kernel(
        f"run = get_ipython().run_line_magic('compose', {code.inner_text()[9:]!r} + ' --quiet'); print(run.text)"
    )
    assert said == text.strip()


def test_a_batch_of_eight_lines(opened: Opened) -> None:
    form = opened.story
    form.tab("Batch")
    form.root.get_by_label("Lines").fill("\n".join(f"Line number {number}" for number in range(1, 9)))
    limit(form, "4")
    form.button("Run batch").click()
    form.root.get_by_text("8 of 8").wait_for()
    rows = form.root.locator("tbody tr").all_inner_texts()
    assert len(rows) == 8
    assert all(f"Line number {number}" in row for number, row in enumerate(rows, start=1))
    form.field("Save as variable").fill("eight")
    form.button("Save").click()
    form.root.get_by_text("Saved. In a cell: eight").wait_for()
    assert opened.in_kernel("print(len(eight), list(eight['state'].unique()))") == "8 ['completed']"


def test_a_run_waits_for_an_edit_and_goes_on_with_it(opened: Opened) -> None:
    form = opened.outline
    form.field("Topic").fill("How to bake bread")
    form.button("Run").click()
    form.state("interrupted")
    assert form.root.get_by_text("Is this how it should begin?", exact=True).is_visible()
    area = form.root.locator(".mcnb-pause textarea")
    assert area.input_value().startswith("How to bake bread: first,")
    area.fill("The best bread begins with")
    form.button("Continue").click()
    form.state("completed")
    assert form.text.startswith("The best bread begins with")
    again = opened.in_kernel("print(outlines.repeat(second.runs[-1].record).text)")
    assert again == form.text.strip()


def test_the_keyboard_alone_is_enough(opened: Opened) -> None:
    form = opened.story
    cells = opened.page.locator(".jp-Cell").count()
    form.field("Opening").fill("")
    opened.page.keyboard.type("Typed by hand")
    finish(form, lambda: opened.page.keyboard.press("Control+Enter"))
    assert form.text.startswith("Typed by hand")
    form.button("Run").focus()
    for key in ("a", "b", "x", "d", "d"):  # JupyterLab's own shortcuts on cells
        opened.page.keyboard.press(key)
    finish(form, lambda: opened.page.keyboard.press("Enter"))
    assert opened.page.locator(".jp-Cell").count() == cells


def test_the_result_is_in_the_saved_notebook(opened: Opened) -> None:
    text = run(opened.story, "What stays is")
    first = json.dumps(text.splitlines()[0], ensure_ascii=False)[1:-1]
    held = "text => JSON.stringify(window.jupyterapp.shell.currentWidget.context.model.toJSON().cells).includes(text)"
    opened.page.wait_for_function(held, arg=first)  # the copy of the result comes after the result
    opened.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    opened.page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty")
    notebook = nbformat.read(opened.file, as_version=4)
    outputs = [output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", [])]
    assert first in json.dumps(outputs, ensure_ascii=False)
