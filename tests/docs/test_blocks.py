"""Every code block of the documentation says how it is run, or why it is not; ``make check-docs`` runs them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.check_docs.__main__ import wrong_blocks
from tools.check_docs.blocks import blocks
from tools.check_docs.documents import ROOT, with_commands
from tools.check_docs.running import run_blocks
from tools.check_docs.workspace import Workspace


@pytest.mark.parametrize("path", with_commands(), ids=str)
def test_blocks_say_how_they_are_run(path: Path) -> None:
    assert wrong_blocks(path) == []


def test_few_blocks_are_not_run() -> None:
    found = [block for path in with_commands() for block in blocks((ROOT / path).read_text(encoding="utf-8"))]
    run = [block for block in found if block.kind]
    assert len(run) > 40
    assert len([block for block in found if block.reason]) < len(run) / 4


@pytest.mark.parametrize(
    ("text", "kind", "problem"),
    [
        ("```bash\nls\n```", "shell", None),
        ("```console\n$ ls\n```", "session", None),
        ("```python\n1\n```", "cell", None),
        ("```yaml\na: 1\n```", None, None),
        ("<!-- not run: it needs the Hub, which is not here -->\n```bash\nls\n```", None, None),
        ("<!-- not run: -->\n```bash\nls\n```", None, "says no reason"),
        ("<!-- file: a.yml -->\n```yaml\na: 1\n```", None, None),
        ("<!-- run: {exit: 2} -->\n```bash\nls\n```", "shell", None),
        ("<!-- run: {exti: 2} -->\n```bash\nls\n```", None, "its marker cannot be read"),
        ("<!-- run: {exit: 2} -->\n```yaml\na: 1\n```", None, "says how to run yaml"),
        ("```\nls\n```", None, "has no language"),
        ("```fortran\nls\n```", None, "is in fortran"),
    ],
)
def test_markers(text: str, kind: str | None, problem: str | None) -> None:
    (block,) = blocks(f"before\n\n{text}\n\nafter\n")
    assert (block.problem or "").startswith(problem or "")
    assert bool(block.problem) is bool(problem)
    if problem is None:
        assert block.kind == kind


def test_what_blocks_do_is_checked(tmp_path: Path) -> None:
    """Each kind of block fails when it does not do what it says, and the file goes on behind it."""
    text = """
<!-- file: a.txt -->
```text
one
```

```bash
test "$(cat a.txt)" = one
```

```bash
false
```

<!-- run: {exit: 3} -->
```bash
exit 3
```

```console
$ cat a.txt
one
$ echo two
three
```

<!-- run: {replace: {"one": "two"}} -->
```console
$ echo one
two
```

<!-- run: {terminal: "yes\\n"} -->
```bash
test -t 0
read answer
test "$answer" = yes
```

<!-- run: {until: "ready"} -->
```bash
echo ready
echo $$ > service.pid
sleep 600
```
"""
    told: list[str] = []
    found = run_blocks("page.md", text, Workspace(tmp_path), told.append)
    assert [problem.partition("\n")[0] for problem in found] == [
        "page.md:11: exit code 1, expected 0",
        "page.md:20: $ echo two",
    ]
    assert len(told) == 7
    assert not (tmp_path / "a.txt").exists()
