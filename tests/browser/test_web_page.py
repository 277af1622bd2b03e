"""The seed's scenario: ``mcnb up``, its curl as written, the web page, the command; on SmolLM2."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from mcnb.models.home import models_home
from tests.browser.forms import Form, finish
from tests.browser.lab import chromium, needs
from tests.cli.processes import run as run_command
from tests.service.running import Up, running
from tests.support.runs import ROOT

pytestmark = needs("voila")

PROMPT = "Once upon a time in a distant galaxy"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """The quickstart, served without a token, as the seed does."""
    folder = tmp_path_factory.mktemp("quickstart")
    text = (ROOT / "examples" / "quickstart" / "model-compose.yml").read_text()
    assert "max_output_length: 128" in text
    (folder / "model-compose.yml").write_text(text.replace("max_output_length: 128", "max_output_length: 12"))
    home = folder / "home"  # what services keep is the test's own; models are where they were fetched
    home.mkdir()
    (home / "models").symlink_to(models_home())
    with running(folder / "model-compose.yml", "--no-token", MCNB_HOME=str(home)) as found:
        yield found


@pytest.fixture
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    from tests.browser.lab import CHROMIUM_OPTIONS

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=chromium(), headless=True, args=list(CHROMIUM_OPTIONS))
        yield found
        found.close()


def open_form(browser: Any, address: str, **options: Any) -> tuple[Any, Form]:
    page = browser.new_page(**options)
    page.set_default_timeout(120_000)
    page.goto(address)
    return page, Form(page).wait()


def test_the_curl_of_the_seed(up: Up) -> None:
    command = ["curl", "-s", "-X", "POST", f"http://localhost:{up.port}/api/workflows/runs"]
    command += ["-H", "Content-Type: application/json", "-d", json.dumps({"input": {"prompt": PROMPT}})]
    reply = json.loads(subprocess.run(command, capture_output=True, timeout=300).stdout)
    assert reply["status"] == "completed"
    assert reply["output"]["generated"].startswith(PROMPT)


def test_the_web_page(up: Up, browser: Any) -> None:
    assert up.form is not None
    asked: list[str] = []
    page = browser.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.set_default_timeout(120_000)
    page.goto(up.form)
    form = Form(page).wait()
    assert page.title() == "Generate Text from Prompt"
    form.field("Prompt").fill(PROMPT)
    finish(form, lambda: form.button("Run").click())
    assert form.text.startswith(PROMPT)
    assert len(form.text) > len(PROMPT)
    assert "tokens in" in form.line
    assert form.root.get_by_role("tab", name="Batch").is_hidden()
    assert page.locator(".jp-InputArea-editor").count() == 0
    hosts = {url.split("/")[2] for url in asked if url.startswith("http")}
    assert len(hosts) == 1  # nothing comes from other machines
    runs = up.ask("GET", "/api/workflows/runs")[1]["runs"]
    assert runs[0]["status"] == "completed"  # the service's own run: the visitor's kernel has computed nothing


def test_what_is_missing_is_told_at_the_field(up: Up, browser: Any) -> None:
    assert up.form is not None
    _, form = open_form(browser, up.form)
    form.button("Run").click()
    form.root.locator(".mcnb-message", has_text="Please fill this in.").wait_for()


@pytest.mark.parametrize(("scheme", "is_dark"), [("light", False), ("dark", True)])
def test_light_and_dark_as_the_visitor_has_it(up: Up, browser: Any, scheme: str, is_dark: bool) -> None:
    assert up.form is not None
    page, form = open_form(browser, up.form, color_scheme=scheme)
    colours = page.evaluate(
        "element => [element, document.body].map((item) => getComputedStyle(item).backgroundColor)",
        form.root.element_handle(),
    )
    for colour in colours:
        brightness = sum(int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(", ")[:3]) / 3
        assert (brightness < 100) == is_dark, colours


def test_a_narrow_window_shows_all_of_it(up: Up, browser: Any) -> None:
    assert up.form is not None
    page, form = open_form(browser, up.form, viewport={"width": 320, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    box = form.button("Run").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 320


def test_the_command_of_the_seed(up: Up) -> None:
    done = run_command("run", "--url", f"http://localhost:{up.port}", "--input", json.dumps({"prompt": PROMPT}), "-q")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["generated"].startswith(PROMPT)
