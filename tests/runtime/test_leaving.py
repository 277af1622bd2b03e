"""Leaving Python while a text grows: the process ends as it would without one."""

from __future__ import annotations

import subprocess
import sys

from tests.support.runs import FIRST_LINE, ROOT, Models, document

SCRIPT = """
import sys, mcnb
run = mcnb.load(text=sys.argv[1]).submit(prompt=sys.argv[2])
next(event for event in run.events() if event.type == "token" and event.data["tokens"] > 3)
print("leaving")
"""


def test_python_leaves_while_a_text_grows(models: Models) -> None:
    text = document(models.endless, max_output_length=5000)
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, text, FIRST_LINE],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert (done.returncode, done.stdout) == (0, "leaving\n"), done.stderr
