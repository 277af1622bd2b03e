"""A script that uses transformers alone: ``python -m ... FOLDER PROMPT TOKENS DTYPE CLASSES``; it prints the text.

CLASSES is ``auto``, as one script for all models would have it, or ``named``: as one for this model alone may.
"""

import sys

import torch

folder, prompt, tokens, dtype, classes = sys.argv[1:]
if classes == "auto":
    from transformers import AutoModelForCausalLM, AutoTokenizer
else:
    from transformers import PreTrainedTokenizerFast as AutoTokenizer
    from transformers.models.llama.modeling_llama import LlamaForCausalLM as AutoModelForCausalLM

tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype))


class Printer:
    """Prints each token as it comes; the first call is about the prompt."""

    prompt = True

    def put(self, ids: torch.Tensor) -> None:
        if not self.prompt:
            print(tokenizer.decode(ids, skip_special_tokens=True), end="", flush=True)
        self.prompt = False

    def end(self) -> None:
        pass


count = int(tokens)
given = tokenizer(prompt, return_tensors="pt")
model.generate(**given, max_new_tokens=count, min_new_tokens=count, do_sample=False, pad_token_id=2, streamer=Printer())
