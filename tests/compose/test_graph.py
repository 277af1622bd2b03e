"""The picture of a workflow."""

from __future__ import annotations

import re

import pytest

from mcnb.compose.graph import LONGEST, mermaid

from .documents import ONE, load

NODE = re.compile(r'[JC][0-9]+(?:\(\("[^"\n]+"\)\)|\["[^"\n]+"\])')
ARROW = re.compile(
    r'(J[0-9]+|C[0-9]+|Input\(\(Input\)\)) -\.?->(?:\|"[^"\n]+"\|)? (J[0-9]+|C[0-9]+|Output\(\(Output\)\))'
)


def drawn(text: str, workflow: str | None = None) -> list[str]:
    """Draw, check that every line has one of the two forms there are, and return the lines."""
    document = load(text)
    first, *lines = mermaid(document, document.workflow(workflow)).splitlines()
    assert first == "graph TD"
    lines = [line.removeprefix("    ") for line in lines]
    assert [line for line in lines if not NODE.fullmatch(line) and not ARROW.fullmatch(line)] == []
    return lines


def jobs(text: str, components: str = "component: {model: a/b, text: hello}") -> list[str]:
    return drawn(f"workflow:\n  jobs:\n{text}\n{components}\n")


def test_a_component_alone() -> None:
    assert drawn(ONE) == [
        'J1(("default<br/>job"))',
        'C1["a/b<br/>component"]',
        "J1 --> C1",
        'C1 -.->|"generated text"| J1',
        "Input((Input)) --> J1",
        "J1 --> Output((Output))",
    ]


@pytest.mark.parametrize(("task", "label"), [("text-generation", "generated text"), ("text-to-text", "output text")])
def test_what_comes_back(task: str, label: str) -> None:
    assert f'C1 -.->|"{label}"| J1' in drawn(f"component: {{task: {task}, model: a/b, text: hello}}")


def test_what_a_chat_gives_back() -> None:
    found = drawn("component: {task: chat-completion, model: a/b, action: {messages: '${input.messages}'}}")
    assert 'C1 -.->|"answer"| J1' in found


@pytest.mark.parametrize("extra", ["num_return_sequences: 2", "text: [a, b]"])
def test_several_texts_come_back(extra: str) -> None:
    text = "" if extra.startswith("text") else ", text: hello"
    assert 'C1 -.->|"generated texts"| J1' in drawn(f"component: {{model: a/b{text}, {extra}}}")


def test_jobs_that_follow_each_other_share_a_component() -> None:
    lines = jobs(
        """
    - {id: a, name: First}
    - {id: b, depends_on: [a]}
    - {id: c, depends_on: [a]}
    - {id: d, depends_on: [[b, c]]}
"""
    )
    assert lines[:5] == [
        'J1(("First<br/>job"))',
        'J2(("b<br/>job"))',
        'J3(("c<br/>job"))',
        'J4(("d<br/>job"))',
        'C1["a/b<br/>component"]',
    ]
    assert lines[-6:] == [
        "Input((Input)) --> J1",
        "J1 --> J2",
        "J1 --> J3",
        'J2 -->|"any of"| J4',
        'J3 -->|"any of"| J4',
        "J4 --> Output((Output))",
    ]


def test_components_are_called_by_their_titles_and_actions_by_their_names() -> None:
    lines = jobs(
        "    - {id: a, component: y, action: second}\n    - {id: b, component: {model: c/d, text: hi}}",
        """components:
  - {id: x, title: Poet, model: a/b, text: hello}
  - {id: y, model: ./here, actions: [{id: first, text: a}, {id: second, text: b}]}""",
    )
    assert 'C1["y<br/>component"]' in lines
    assert 'C2["c/d<br/>component"]' in lines
    assert 'J1 -->|"second"| C1' in lines
    assert not any("Poet" in line for line in lines), "nobody calls it"


def test_what_a_job_does_besides_calling_stands_in_its_node() -> None:
    lines = jobs(
        """
    - {id: a, repeat_count: 3, retry: 2, interrupt: {before: true, after: {message: ok?}}, on_error: ignore}
    - {id: b, repeat_count: "${input.n as integer}"}
    - {id: c, type: filter, input: "${input.list}", where: {input: "${item}", value: x}}
    - {id: d, type: delay, duration: 500ms}
    - {id: e, type: delay, duration: 1.5}
    - {id: f, type: for-each, input: "${input.list}", do: {input: {prompt: "${item}"}}}
"""
    )
    assert lines[:6] == [
        'J1(("a<br/>job<br/>3 times<br/>up to 2 attempts<br/>errors ignored<br/>pauses before<br/>pauses after"))',
        'J2(("b<br/>job<br/>${input.n as integer} times"))',
        'J3(("c<br/>filter"))',
        'J4(("d<br/>wait 500ms"))',
        'J5(("e<br/>wait 1.5 s"))',
        'J6(("f<br/>for each"))',
    ]
    assert 'J6 -->|"each item"| C1' in lines
    assert 'C1 -.->|"generated texts"| J6' in lines


def test_where_jobs_lead_to() -> None:
    lines = jobs(
        """
    - {id: a, on_error: {to: sorry}}
    - id: i
      type: if
      input: "${jobs.a.output}"
      conditions: [{operator: contains, value: hm, if_true: s, if_false: r}, {input: 1, value: 2, if_true: s}]
      otherwise: z
      depends_on: [a]
    - {id: s, type: switch, input: "${input.kind}", cases: [{value: poem, then: z}], otherwise: sorry}
    - {id: r, type: random-router, mode: weighted, routings: [{to: z, weight: 3}, {to: sorry}], depends_on: [i]}
    - {id: z}
    - {id: sorry}
"""
    )
    ways = [line for line in lines if "-->" in line or "on error" in line]
    assert [line for line in ways if "C1" not in line] == [
        "Input((Input)) --> J1",
        "J1 --> J2",
        'J1 -.->|"on error"| J6',
        'J2 -->|"${jobs.a.output} contains hm"| J3',
        'J2 -->|"not: ${jobs.a.output} contains hm"| J4',
        'J2 -->|"1 eq 2"| J3',
        'J2 -->|"otherwise"| J5',
        'J3 -->|"poem"| J5',
        'J3 -->|"otherwise"| J6',
        'J4 -->|"75 %"| J5',
        'J4 -->|"25 %"| J6',
        "J5 --> Output((Output))",
        "J6 --> Output((Output))",
    ]


def test_ways_by_equal_chance() -> None:
    lines = jobs(
        "    - {id: r, type: random-router, routings: [{to: a, weight: 9}, {to: b}]}\n    - id: a\n    - id: b"
    )
    assert 'J1 -->|"50 %"| J2' in lines
    assert 'J1 -->|"50 %"| J3' in lines


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ('a "b" [c] (d) {e}', "a #34;b#34; [c] (d) {e}"),
        ("<script>alert(1)</script>", "#60;script#62;alert(1)#60;/script#62;"),
        ("end", "end"),
        ("two\nlines\tand\x00more", "two lines and more"),
        ("写一首诗 🌙", "写一首诗 🌙"),
        ("`code` | #1 & \\n", "#96;code#96; #124; #35;1 #38; #92;n"),
        ("50 %", "50 %"),
        ("%%{init: {}}%%", "#37;#37;{init: {}}#37;#37;"),
        ("style a:#fff;", "style a#58;#35;fff;"),
        ("x" * 100, "x" * (LONGEST - 1) + "…"),
        (" \n ", "#160;"),
    ],
)
def test_a_title_means_nothing_to_mermaid(title: str, shown: str) -> None:
    document = load(ONE)
    workflow = document.workflow()
    job = workflow.jobs[0].model_copy(update={"name": title})
    picture = mermaid(document, workflow.model_copy(update={"jobs": (job,)}))
    assert f'J1(("{shown}<br/>job"))' in picture.splitlines()[1]
    assert len(picture.splitlines()) == 7


def test_any_workflow_of_a_document() -> None:
    text = """
workflows:
  - {id: a, default: true, jobs: [{id: one}]}
  - {id: b, jobs: [{id: two}]}
component: {model: a/b, text: hello}
"""
    assert drawn(text)[0] == 'J1(("one<br/>job"))'
    assert drawn(text, "b")[0] == 'J1(("two<br/>job"))'


def test_a_condition_says_what_it_looks_up_and_nothing_of_the_form() -> None:
    found = jobs("""
    - id: choose
      type: if
      input: "${input.review as boolean | true @(description Stop for a person)}"
      conditions: [{operator: eq, value: true, if_true: stop}]
      otherwise: go
    - {id: stop}
    - {id: go}
""")
    assert 'J1 -->|"${input.review} eq true"| J2' in found
