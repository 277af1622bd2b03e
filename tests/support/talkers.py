"""Tiny models that chat: the poet with a chat template."""

from __future__ import annotations

import shutil
from pathlib import Path

PLAIN = "{% for message in messages %}{{ message.content }}{% endfor %}"
"""The contents alone, one behind the other: a first line of the poem is answered with the rest."""

STRICT = """\
{%- if messages[0].role == 'system' -%}{{ raise_exception('System role not supported') }}{%- endif -%}
{%- for message in messages -%}
{%- if (message.role == 'user') != (loop.index0 % 2 == 0) -%}
{{- raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') -}}
{%- endif -%}
{{- message.content -}}
{%- endfor -%}
"""
"""No system, and turns in turn."""

ROLES = """\
{%- for message in messages -%}{{- '[' + message.role + '] ' + message.content + '\\n' -}}{%- endfor -%}
{%- if add_generation_prompt -%}{{- '[assistant] ' -}}{%- endif -%}
"""


def talker(path: Path, reciter: Path, template: str = PLAIN) -> Path:
    """A copy of a reciter that has a chat template.

    Parameters
    ----------
    path : Path
        The folder to write; also the return value.
    reciter : Path
        The model that is copied.
    template : str, optional
        In Jinja's language.
    """
    shutil.copytree(reciter, path)
    (path / "chat_template.jinja").write_text(template, encoding="utf-8")
    return path
