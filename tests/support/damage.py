"""Model folders damaged in the ways that happen: broken downloads, full disks, careless edits."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

DAMAGES = (
    "cut_shard",
    "empty_shard",
    "missing_shard",
    "bad_header",
    "bad_config_json",
    "no_tokenizer",
    "leftover_partial",
    "remote_code",
)

REMOTE_CODE_RAN = "STAND_IN_REMOTE_CODE_RAN"  # set in the environment by the code of `remote_code`

_TOKENIZER_FILES = ("tokenizer*", "vocab*", "merges.txt", "*.model", "special_tokens_map.json", "added_tokens.json")
_SHORT_NAME = "AAAAAAAAAAAAAAAAAAAAAAAAAAA="  # stands for a digest of the file name
_WEIGHT_FILES = ("*.safetensors", "*.bin", "*.gguf")


def broken(path: Path, kind: str) -> Path:
    """Damage a model folder in place; give it a copy, or the folder of a snapshot in a download cache.

    Parameters
    ----------
    path : Path
        A good model folder.
    kind : str
        One of `DAMAGES`:

        - `cut_shard`: the last weight file ends in the middle;
        - `empty_shard`: the last weight file has 0 bytes;
        - `missing_shard`: the last weight file is gone;
        - `bad_header`: the last weight file begins with nonsense;
        - `bad_config_json`: `config.json` ends in the middle;
        - `no_tokenizer`: none of the tokenizer's files is there (transformers 5.23 then makes GPT-2, Blenderbot
          and T5 models a tokenizer with an empty vocabulary, without a word);
        - `leftover_partial`: a download of the last weight file was killed: half of it lies where
          `huggingface_hub` keeps partial files, under its name for them;
        - `remote_code`: `config.json` names an unknown model type and a Python file of the folder, which sets
          the environment variable `REMOTE_CODE_RAN` when it is run.

    Returns
    -------
    Path
        The file an error message should name; for `no_tokenizer` the folder.
    """
    if kind not in DAMAGES:
        raise ValueError(f"unknown damage {kind!r}; known: {', '.join(DAMAGES)}")
    if kind == "no_tokenizer":
        for pattern in _TOKENIZER_FILES:
            for file in path.glob(pattern):
                file.unlink()
        return path
    if kind == "bad_config_json":
        config = path / "config.json"
        config.write_bytes(config.read_bytes()[: config.stat().st_size // 2])
        return config
    if kind == "remote_code":
        return _remote_code(path)
    shard = max(file for pattern in _WEIGHT_FILES for file in path.glob(pattern))
    content = shard.read_bytes()
    if kind == "cut_shard":
        shard.write_bytes(content[: len(content) // 2])
    elif kind == "empty_shard":
        shard.write_bytes(b"")
    elif kind == "bad_header":
        shard.write_bytes(b"\xff" * 64 + content[64:])
    else:
        if kind == "leftover_partial":
            partial = _partial_name(path, shard)
            partial.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(content[: len(content) // 2])
        shard.resolve().unlink()
        shard.unlink(missing_ok=True)
    return shard


def copy(source: Path, target: Path) -> Path:
    """Copy a model folder, to damage the copy."""
    return Path(shutil.copytree(source, target))


def _partial_name(path: Path, shard: Path) -> Path:
    """Where `huggingface_hub` 2.4 downloads this file to: one folder for caches, another for `local_dir`."""
    if shard.is_symlink():
        return shard.resolve().with_name(f"{shard.resolve().name}.0badcafe.incomplete")
    digest = hashlib.sha256(shard.read_bytes()).hexdigest()
    return path / ".cache" / "huggingface" / "download" / f"{_SHORT_NAME}.{digest}.0badcafe.incomplete"


def _remote_code(path: Path) -> Path:
    config = path / "config.json"
    content = json.loads(config.read_text(encoding="utf-8"))
    content |= {
        "model_type": "mystery",
        "architectures": ["MysteryForCausalLM"],
        "auto_map": {
            "AutoConfig": "modeling_mystery.MysteryConfig",
            "AutoModelForCausalLM": "modeling_mystery.MysteryForCausalLM",
        },
    }
    config.unlink()  # in a download cache this is a link to a shared file
    config.write_text(json.dumps(content, indent=2), encoding="utf-8")
    code = f'import os\n\nos.environ["{REMOTE_CODE_RAN}"] = "1"\nraise RuntimeError("remote code was run")\n'
    (path / "modeling_mystery.py").write_text(code, encoding="utf-8")
    return config
