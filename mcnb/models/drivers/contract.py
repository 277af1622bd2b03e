"""The contract of drivers: what an engine has to do to run the models of a document.

A ``Driver`` finds out what a component asks for, which gives a ``Found``: enough to know whether it is in memory
already, and whether it would fit. Loading it gives an ``Owner``, which generates, counts tokens and describes itself.

======================  =====================================================================================
load                    ``Driver.find``, then ``Found.load``; both report progress and end when they are told to
generate                ``Owner.submit``, which never blocks; ``Generation.future`` gets the result
generate many           several of these: an engine computes together, or one after the other, as it can
cancel                  the ``Control`` given to ``submit``; the future is done when nothing is computed any more
count tokens            ``Owner.count_tokens``
describe                ``Owner.description``, which is what records keep
======================  =====================================================================================

``tests/models/drivers`` holds every driver to it.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from mcnb.errors import McnbError
from mcnb.models.chat import Prompt
from mcnb.models.control import Control
from mcnb.models.parameters import Origin, Parameters
from mcnb.models.progress import Report
from mcnb.models.request import Generation, Priority
from mcnb.models.rows import OnPrompt, OnText
from mcnb.models.spec import ModelSpec


@dataclass(frozen=True)
class Description:
    """What a model is and how it runs.

    Attributes
    ----------
    driver, version : str
        The engine, and the release of the library that it is.
    name : str
        The model, as people know it: ``owner/name``, a path, ``package==version``, or what a server calls it.
    provider, revision : str, str or None
        Where its weights come from, and the commit or version.
    digests : mapping of str to str
        File name and SHA-256, where they are known.
    device, dtype, dtype_reason : str
        Where it runs, in which precision, and why.
    threads : int
        That compute; 0 where that is not for this process to know.
    memory : int
        Bytes of it in this process.
    load_seconds : float
        How long loading took.
    context_length : int or None
        Tokens it can see at once; None where there is no limit, or it is not known.
    is_encoder_decoder : bool
        Whether it reads with an encoder and writes with a decoder.
    settings : mapping
        What else was chosen and may change its text; records keep it, so no secret is in it.
    """

    driver: str
    version: str
    name: str
    provider: str
    revision: str | None
    device: str
    dtype: str
    dtype_reason: str
    threads: int
    memory: int
    load_seconds: float
    context_length: int | None
    digests: Mapping[str, str] = field(default_factory=dict)
    is_encoder_decoder: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)


class Owner(Protocol):
    """A model that is ready; may be called from any thread."""

    @property
    def description(self) -> Description:
        """What it is."""

    @property
    def waiting(self) -> int:
        """How many requests wait for their turn."""

    @property
    def ended(self) -> bool:
        """Whether it can compute no more: what asks for the model next has it loaded anew."""

    def parameters(self, user: Mapping[str, Any], document: Mapping[str, Any], seed: tuple[int, Origin]) -> Parameters:
        """Decide every generation parameter of a call; see ``parameters.resolve``.

        Raises
        ------
        InvalidInputError
            When values do not go together, or this engine has no such parameter.
        """

    def submit(
        self,
        prompt: Prompt,
        parameters: Parameters,
        *,
        control: Control,
        on_text: OnText,
        on_prompt: OnPrompt | None = None,
        priority: Priority = "interactive",
        reproducible: bool = True,
    ) -> Generation:
        """Queue a generation; never blocks. `on_text` and `on_prompt` are called by the owner's thread."""

    def count_tokens(self, prompt: Prompt) -> int | None:
        """Return the tokens of a prompt, as the model reads it; None where the engine cannot tell.

        Raises
        ------
        McnbError
            When the prompt cannot be read: a conversation without a chat template.
        """

    def warning(self, text: str) -> str | None:
        """Say what is hardly meant so about a plain text for this model; None where there is nothing."""

    def close(self) -> None:
        """End after what is queued, and free what it holds."""


class Found(Protocol):
    """A model that can be loaded."""

    @property
    def key(self) -> Hashable:
        """What it is: the same for the same files, settings and place, whatever they are called."""

    @property
    def device(self) -> str:
        """Where it will need memory."""

    @property
    def size(self) -> int:
        """Bytes of its files; 0 where it needs no memory here."""

    def needed(self) -> int:
        """Return the bytes that have to be free to load it and be of use."""

    def refusal(self, free: int) -> McnbError:
        """Return what to tell when it does not fit into `free` bytes."""

    def load(self, control: Control, report: Report) -> Owner:
        """Load it.

        Raises
        ------
        McnbError
        """


class Driver(Protocol):
    """An engine."""

    packages: tuple[str, ...]
    """What has to be installed for it, by the names that are imported."""

    extra: str
    """The extra of mcnb that installs them."""

    def find(self, spec: ModelSpec, *, control: Control, report: Report, loaded: int) -> Found:
        """Find out what is asked for, bringing its files to this machine.

        Parameters
        ----------
        spec : ModelSpec
            What a component asks for.
        control : Control
            Ends it.
        report : callable
            Gets progress.
        loaded : int
            Bytes of the models in memory: they can leave until this one is here.

        Raises
        ------
        McnbError
        """
