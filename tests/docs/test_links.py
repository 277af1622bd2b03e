"""Every link and every image of the documentation leads somewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.check_docs.documents import ROOT, with_links
from tools.check_docs.links import anchors_of, links_of, wrong_links


@pytest.mark.parametrize("path", with_links(), ids=str)
def test_links_lead_somewhere(path: Path) -> None:
    assert list(wrong_links(path, ROOT)) == []


@pytest.mark.parametrize(
    ("link", "wrong"),
    [
        ("[a](other.md)", None),
        ("[a](other.md#two-words)", None),
        ("[a](#here)", None),
        ("![a](none.png)", "leads to nothing"),
        ("[a](other.md#three)", "leads to no heading of other.md"),
        ("[a](#nowhere)", "leads to no heading of page.md"),
        ("[a](../../etc/passwd)", "leads out of the repository"),
        ('<img src="none.png">', "leads to nothing"),
        ("[a](http://localhost:8080)", None),
        ("[a](https://mybinder.org)", None),
        ("[a](http://mybinder.org)", "is not https"),
        ("[a](https://github.com/OWNER/REPO)", "is no address"),
        ("`[a](none.md)`", None),
        ("```\n[a](none.md)\n```", None),
    ],
)
def test_wrong_links_are_found(tmp_path: Path, link: str, wrong: str | None) -> None:
    (tmp_path / "other.md").write_text("# Other\n\n## Two words\n")
    (tmp_path / "page.md").write_text(f"# Here\n\n{link}\n")
    found = list(wrong_links(Path("page.md"), tmp_path))
    assert (found == []) if wrong is None else (len(found) == 1 and found[0].endswith(wrong))


def test_anchors_are_those_of_github() -> None:
    text = "# A `b`: c?\n## Twice\n## Twice\n## 一个文件，五种用法\n```bash\n# no heading\n```\n"
    assert anchors_of(text) == {"a-b-c", "twice", "twice-1", "一个文件五种用法"}


def test_links_in_words_with_code_are_found() -> None:
    assert links_of("[`a`](b.md) and ![c](d.png) and `[e](f.md)`") == ["b.md", "d.png"]
