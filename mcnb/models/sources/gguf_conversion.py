"""The process that converts one GGUF file: ``python -m mcnb.models.sources.gguf_conversion FILE FOLDER``.

It prints one JSON object a line: ``{"done": n, "total": m}``, and at the end of a failure
``{"error": "unsupported" | "damaged" | "disk" | "failed", "message": ...}``.
"""

from __future__ import annotations

import errno
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any


def say(**fields: Any) -> None:
    """Print one line for the parent, on a line of its own whatever libraries printed before."""
    sys.stdout.write("\n" + json.dumps(fields) + "\n")
    sys.stdout.flush()


class _Bar:
    """Stands in for the progress bar that the reader of GGUF files draws."""

    def __init__(self, items: Iterable[Any], **_: Any) -> None:
        self.items = list(items)

    def __iter__(self) -> Iterator[Any]:
        for number, item in enumerate(self.items):
            say(done=number, total=len(self.items))
            yield item
        say(done=len(self.items), total=len(self.items))


class CutFileError(Exception):
    """The file ends too early, or lacks tensors."""


def described(path: Path) -> tuple[str, str]:
    """Return a file's architecture, and the dtype that keeps what it holds.

    The dtype is the file's own when it is a float type, else bfloat16.
    """
    import gguf

    try:
        reader = gguf.GGUFReader(str(path))
        architecture = str(reader.fields["general.architecture"].contents())
    except Exception as error:  # the reader takes what it finds for granted and fails anyhow
        raise CutFileError(f"it cannot be read to its end: {error}") from error
    kinds = {tensor.tensor_type.name for tensor in reader.tensors if len(tensor.shape) > 1}
    if kinds <= {"F32"}:
        return architecture, "float32"
    return architecture, "float16" if kinds <= {"F16", "F32"} else "bfloat16"


def convert(path: Path, folder: Path) -> None:
    """Convert a GGUF file to a folder of safetensors, with its tokenizer and chat template."""
    import torch
    import transformers
    from transformers import modeling_gguf_pytorch_utils as reader

    reader.tqdm = _Bar
    transformers.utils.logging.disable_progress_bar()
    architecture, dtype = described(path)
    auto = transformers.AutoModelForSeq2SeqLM if "t5" in architecture else transformers.AutoModelForCausalLM
    model, info = auto.from_pretrained(
        str(path.parent),
        gguf_file=path.name,
        dtype=getattr(torch, dtype),
        quantization_config=transformers.GgufConfig(dequantize=True),
        local_files_only=True,
        output_loading_info=True,
    )
    if info["missing_keys"]:
        raise CutFileError(f"it lacks {', '.join(sorted(info['missing_keys'])[:3])}")
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(path.parent), gguf_file=path.name, local_files_only=True)
    model.save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))


def main(arguments: list[str]) -> int:
    """Convert, and say what went wrong."""
    path, folder = Path(arguments[0]), Path(arguments[1])
    try:
        convert(path, folder)
    except Exception as error:  # the parent turns it into one of mcnb's errors
        text = " ".join(str(error).split())
        if "is not supported" in text and "architecture" in text:
            from transformers.modeling_gguf_pytorch_utils import GGUF_SUPPORTED_ARCHITECTURES

            known = ", ".join(sorted(set(GGUF_SUPPORTED_ARCHITECTURES) - {"general", "tokenizer"}))
            say(error="unsupported", message=text, hint=f"architectures that can be read from GGUF: {known}")
        elif isinstance(error, ImportError):
            say(error="unsupported", message=text, hint="pip install 'mcnb[kernel]'")
        elif getattr(error, "errno", None) == errno.ENOSPC or "No space left on device" in text:
            say(error="disk", message=text)
        elif isinstance(error, CutFileError | ValueError | IndexError | KeyError | OverflowError | EOFError):
            say(error="damaged", message=text)
        else:
            say(error="failed", message=f"{type(error).__name__}: {text}")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
