"""The tokens of a model in llama.cpp's memory: to text, from text, and which of them are control tokens."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

from mcnb.models.drivers.llamacpp.library import library


class Vocabulary:
    """Reads and writes tokens; ``Detokenizer`` takes it for a tokenizer.

    Parameters
    ----------
    llama : llama_cpp.Llama
        Its vocabulary does not change, so any thread may ask.

    Attributes
    ----------
    all_special_ids : list of int
        Control tokens: they say nothing.
    all_special_tokens : tuple of str
        How these, and other tokens that are more than text, are written in a prompt.
    ends : frozenset of int
        Tokens that end a text or a turn.
    """

    def __init__(self, llama: Any) -> None:
        self._llama = llama
        self._module = module = library()
        self._vocab = vocab = module.llama_model_get_vocab(llama.model)
        tokens = range(module.llama_vocab_n_tokens(vocab))
        attributes = [module.llama_vocab_get_attr(vocab, token) for token in tokens]
        control, own = module.LLAMA_TOKEN_ATTR_CONTROL, module.LLAMA_TOKEN_ATTR_USER_DEFINED
        self.ends = frozenset(token for token in tokens if module.llama_vocab_is_eog(vocab, token))
        self.all_special_ids = [token for token in tokens if attributes[token] & control or token in self.ends]
        special = [token for token in tokens if attributes[token] & (control | own)]
        self.all_special_tokens = tuple(filter(None, (self.text_of(token) for token in special)))
        self._pieces: dict[int, bytes] = {}

    def text_of(self, token: int) -> str:
        """Return how a token is written in the file; empty where there is none, as -1."""
        return "" if token < 0 else self._module.llama_vocab_get_text(self._vocab, token).decode("utf-8", "replace")

    @property
    def begin_and_end(self) -> tuple[str, str]:
        """The texts of the tokens that begin and end a sequence, which templates ask for."""
        module, vocab = self._module, self._vocab
        return self.text_of(module.llama_vocab_bos(vocab)), self.text_of(module.llama_vocab_eos(vocab))

    def read(self, text: str, *, begins: bool = True, special: bool = True) -> list[int]:
        """Return the tokens of a text.

        Parameters
        ----------
        text : str
            The text.
        begins : bool
            Whether the token that begins a sequence goes before it, where the model wants that.
        special : bool
            Whether what looks like a control token is one.
        """
        tokens: list[int] = self._llama.tokenize(text.encode("utf-8", "replace"), add_bos=begins, special=special)
        return tokens

    def decode(self, ids: Sequence[int], **_: Any) -> str:
        """Return the text of tokens, without control tokens; a part of a character is a replacement character."""
        return b"".join(map(self._piece, ids)).decode("utf-8", "replace")

    def _piece(self, token: int) -> bytes:
        known = self._pieces.get(token)
        if known is None:
            size = 64
            while True:
                buffer = ctypes.create_string_buffer(size)
                length = self._module.llama_token_to_piece(self._vocab, token, buffer, size, 0, False)
                if length >= 0:
                    break
                size = -length
            self._pieces[token] = known = buffer.raw[:length]
        return known
