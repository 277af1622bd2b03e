"""Several generations in one call of ``generate``: for models whose prompts are read by an encoder.

Prompts of different lengths are padded, so the last bits of what a model says depend on what it is asked besides. That
is for those who said that their texts need not repeat exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from mcnb.errors import McnbError, RunCancelledError, RunTimeoutError
from mcnb.models._compat import logits_processors
from mcnb.models.control import Control, SharedControl
from mcnb.models.engine.choosing import Chooser, choose
from mcnb.models.generation import explained, generation_config
from mcnb.models.loaded import LoadedModel
from mcnb.models.prompting import Prepared
from mcnb.models.rows import Rows
from mcnb.models.sampling import row_seeds


@dataclass
class Member:
    """One generation among others.

    Attributes
    ----------
    prepared : Prepared
        Its prompt.
    control : Control
        Ends it alone.
    error : BaseException or None
        What ended it; None when it is complete.
    """

    prepared: Prepared
    control: Control
    error: BaseException | None = field(default=None)

    @property
    def rows(self) -> Rows:
        """Its rows."""
        return self.prepared.rows

    def end(self, error: BaseException) -> None:
        """End it where it is."""
        if self.error is None:
            self.error = error
            if isinstance(error, RunCancelledError | RunTimeoutError):
                self.rows.cut("cancelled" if isinstance(error, RunCancelledError) else "timeout")
            else:
                self.rows.keep()


def compute_together(
    loaded: LoadedModel, members: Sequence[Member], *, between: Callable[[], object] | None = None
) -> None:
    """Compute generations in one call; each of them ends complete or with an ``error`` of its own.

    Parameters
    ----------
    loaded : LoadedModel
        An encoder-decoder model, used by the calling thread alone.
    members : sequence of Member
        None of them with beams.
    between : callable, optional
        Called after every step.
    """
    import torch
    from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

    steps = _Steps(loaded, members, between)
    defaults = loaded.defaults
    config = GenerationConfig(
        max_new_tokens=max(member.rows.result.output_budget for member in members),
        do_sample=False,
        use_cache=True,
        pad_token_id=loaded.pad_token,
        bos_token_id=defaults.bos_token_id,
        decoder_start_token_id=defaults.decoder_start_token_id,
    )
    longest = max(len(member.prepared.ids) for member in members)
    ids = torch.full((len(steps.owners), longest), loaded.pad_token)
    mask = torch.zeros_like(ids)
    for row, (member, _) in enumerate(steps.owners):
        own = member.prepared.ids
        ids[row, : len(own)] = torch.tensor(own)
        mask[row, : len(own)] = 1
    before, loaded.control = loaded.control, SharedControl([member.control for member in members])
    try:
        with torch.inference_mode():
            loaded.model.generate(
                inputs=ids.to(loaded.placement.device),
                attention_mask=mask.to(loaded.placement.device),
                generation_config=config,
                logits_processor=LogitsProcessorList([steps.choose]),
                stopping_criteria=StoppingCriteriaList([steps.take]),
            )
    except (RunCancelledError, RunTimeoutError):
        steps.leave()
    except BaseException as error:
        told: BaseException = error
        if isinstance(error, Exception) and not isinstance(error, McnbError):
            told = explained(error, loaded)
            told.__cause__ = error
        for member in members:
            member.end(told)
    finally:
        loaded.control = before
        for member in members:
            if member.error is None:
                member.rows.cut("eos")
            member.rows.stop_clock()


class _Steps:
    """What happens at each step: every row chooses by its own rules, and ends by them."""

    def __init__(self, loaded: LoadedModel, members: Sequence[Member], between: Callable[[], object] | None) -> None:
        self.members = members
        self.owners: list[tuple[Member, int]] = []
        self._between = between
        self._choosers: list[Chooser] = []
        self._ended: set[int] = set()
        for member in members:
            parameters, budget = member.rows.parameters, member.rows.result.output_budget
            config = generation_config(loaded, parameters, member.rows.ends, budget)
            processors = logits_processors(
                loaded.model, config, 1, loaded.placement.device, encoder_ids=member.prepared.tokens["input_ids"]
            )
            for number, seed in enumerate(row_seeds(parameters["seed"], parameters["num_return_sequences"])):
                self.owners.append((member, number))
                self._choosers.append(Chooser(parameters, processors, seed, loaded.placement.device))

    def choose(self, input_ids: Any, scores: Any) -> Any:
        """Take scores of shape (rows, vocabulary); return them with one finite entry a row."""
        import torch

        chosen = choose(scores.float(), self._choosers, input_ids.tolist())
        tokens = []
        for (member, _), token in zip(self.owners, chosen, strict=True):
            if isinstance(token, Exception):
                member.end(token)
            tokens.append(0 if isinstance(token, Exception) else token)
        places = torch.tensor(tokens, device=scores.device).unsqueeze(-1)
        return torch.full_like(scores, float("-inf")).scatter_(-1, places, 0.0)

    def take(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        """Take the next token of each row; return which rows are finished."""
        import torch

        self.leave()
        for member in self.members:
            member.rows.note_step()
        last = input_ids[:, -1].tolist()
        for row, ((member, number), token) in enumerate(zip(self.owners, last, strict=True)):
            if row in self._ended:
                continue
            try:
                if member.error is not None or member.rows.take(number, token):
                    self._ended.add(row)
            except Exception as error:  # of who listens
                member.end(error)
                self._ended.add(row)
        finished = [row in self._ended for row in range(len(last))]
        if self._between is not None and not all(finished):
            self._between()
        return torch.tensor(finished, dtype=torch.bool, device=input_ids.device)

    def leave(self) -> None:
        """End those that nobody wants any more."""
        for member in self.members:
            if member.control.stopped:
                try:
                    member.control.check()
                except (RunCancelledError, RunTimeoutError) as error:
                    member.end(error)
