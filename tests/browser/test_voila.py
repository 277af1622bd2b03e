"""The form as a web page: the notebook in Voila, with a real kernel and SmolLM2."""

from __future__ import annotations

from pathlib import Path

from tests.browser.forms import Form, run, write_notebook
from tests.browser.lab import needs, open_page, running_voila

pytestmark = needs("voila")


def test_the_form_is_a_web_page(tmp_path: Path) -> None:
    notebook = tmp_path / "forms.ipynb"
    write_notebook(notebook)
    with running_voila(notebook, tmp_path) as address, open_page(address) as page:
        form = Form(page).wait()
        assert run(form, "Once upon a time").startswith("Once upon a time")
        assert "tokens in" in form.line
        form.field("Opening").fill("")
        form.button("Run").click()
        form.root.locator(".mcnb-message", has_text="Please fill this in.").wait_for()
