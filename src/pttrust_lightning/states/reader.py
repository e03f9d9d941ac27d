"""The frozen LLM, read at some of its blocks in one pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from pttrust_lightning.errors import LanguageModelError
from pttrust_lightning.states.config import LineStateConfig
from pttrust_lightning.states.language_model import load_causal_lm, load_config, load_truncated, resolve_device
from pttrust_lightning.states.layers import decoder_blocks, resolve_layers
from pttrust_lightning.states.rows import Inputs, Row, apart, attention_mask, block_cost, collate
from pttrust_lightning.states.selected_tokens import SelectedTokens

_TOLERANCE = {torch.float32: 1e-3, torch.float16: 4e-3, torch.bfloat16: 3.2e-2}
"""Relative change of a state that is put down to rounding."""

_SAME = 1e-5
"""Relative change below which two layouts are the same, whatever a wrong one gives."""

_TRIAL_TOKENS = 40
"""Tokens of the row on which sharing is tried."""


class BlockReader:
    """The output of some decoder blocks, before any final norm, from one pass that goes no further than it must.

    Args:
        config: Which LLM and layers.
        whole: Run the whole LLM with its LM head, for token probabilities; otherwise only the blocks up to the last
            layer are loaded and run.

    Attributes:
        layers: The blocks that are read, ascending.
        device: Where the LLM runs.
        vocab_size: Size of its vocabulary.
        cost: What one of its blocks costs.

    Raises:
        LanguageModelError: The model or a layer cannot be used.
    """

    def __init__(self, config: LineStateConfig, whole: bool) -> None:
        llm_config = load_config(config)
        self.layers = resolve_layers(config.layer, config.layers, llm_config.num_hidden_layers)
        self.device = resolve_device(config.device)
        self.vocab_size: int = llm_config.vocab_size
        self._llm_config = llm_config
        self._whole = whole
        self._model = load_causal_lm(config) if whole else load_truncated(config)
        n_blocks = llm_config.num_hidden_layers if whole else self.layers[-1] + 1
        blocks = decoder_blocks(self._model, n_blocks)
        self._blocks = [blocks[layer] for layer in self.layers]
        self._last_mlp: SelectedTokens | None = None
        self._dtype: torch.dtype = getattr(torch, config.dtype)
        self.cost = block_cost(self._blocks[0], llm_config.hidden_size)
        self._check_causal(config.llm)
        if not whole:
            self._last_mlp = self._narrowed_mlp()

    @torch.no_grad()  # not inference_mode: its tensors could not enter autograd later
    def __call__(
        self, inputs: Inputs, keep: Callable[[Tensor], Tensor], tokens: Tensor | None = None
    ) -> tuple[list[Tensor], Tensor | None]:
        """What is kept of each layer's output ``(B, S, D)``, and the logits ``(B, S, V)`` of the whole LLM.

        Args:
            inputs: What is read.
            keep: Applied to a layer's output as soon as there is one, so that no output is held longer than needed.
            tokens: Rows of the flattened output that are used; in the last layer, what stands elsewhere may be wrong.
        """
        kept: list[Tensor] = []

        def hook(_module: nn.Module, _inputs: object, output: Tensor | tuple[Tensor, ...]) -> None:
            kept.append(keep(output[0] if isinstance(output, tuple) else output))

        settings: dict[str, Any] = {}
        if inputs.segments is not None and inputs.visible is not None:
            mask = attention_mask(inputs.segments, inputs.visible, self._dtype)
            settings = {"position_ids": inputs.positions, "attention_mask": mask}
        handles = [block.register_forward_hook(hook) for block in self._blocks]
        if self._last_mlp is not None:
            self._last_mlp.tokens = tokens
        try:
            output = self._model(input_ids=inputs.ids, use_cache=False, **settings)
        finally:
            for handle in handles:
                handle.remove()
        return kept, output.logits if self._whole else None

    def _check_causal(self, name: str) -> None:
        """Refuse an encoder: its states would depend on the padding, and on lines that are still to come."""
        ids = torch.arange(16, device=self.device).reshape(2, 8) % self.vocab_size
        ids[1, 0] = ids[0, 0]
        kept, _ = self(Inputs(ids), _as_it_is)
        for hidden in kept:
            first, other = hidden[:, 0].float()
            if bool((first - other).norm() > _TOLERANCE[self._dtype] * first.norm()):
                raise LanguageModelError(
                    f"In {name} the state of a token depends on the tokens after it: this is an encoder "
                    f"({type(self._model).__name__}). Use a causal LM."
                )

    def _narrowed_mlp(self) -> SelectedTokens | None:
        """Let the last block's MLP run where it is used only; None where the block has none that works by the token."""
        block: Any = self._blocks[-1]
        inner = getattr(block, "mlp", None)
        if not isinstance(inner, nn.Module):
            return None
        inputs = Inputs(torch.arange(16, device=self.device).reshape(2, 8) % self.vocab_size)
        tokens = torch.tensor([3, 6, 12], device=self.device)
        narrowed = SelectedTokens(inner)
        (*_, expected), _ = self(inputs, _as_it_is)
        block.mlp = narrowed
        narrowed.tokens = tokens
        try:
            (*_, found), _ = self(inputs, _as_it_is)
            if _distance(found.flatten(0, 1)[tokens], expected.flatten(0, 1)[tokens]) <= _TOLERANCE[self._dtype]:
                return narrowed
        except (TypeError, ValueError, RuntimeError, IndexError, AttributeError):
            pass  # experts, say: a tuple, or tokens that are told apart by their places
        block.mlp = inner
        return None

    def why_not_shared(self, context_length: int) -> str | None:
        """Why rows cannot be shared in this LLM; None where they can.

        Args:
            context_length: Tokens of the longest program.
        """
        for name in ("sliding_window", "attention_chunk_size"):
            window = getattr(self._llm_config, name, None)
            if window is not None and window < context_length:  # an explicit mask would take its place
                return f"looks back over {window} tokens only ({name})"
        if self.longest_shared_row < _TRIAL_TOKENS or not self._states_are_the_same():
            return "does not take positions and attention masks as they are needed for that"
        return None

    @property
    def longest_shared_row(self) -> int:
        """Tokens of a row: not more than there are positions, since some models keep tables of that length."""
        return int(getattr(self._llm_config, "max_position_embeddings", None) or 2**31)

    def _states_are_the_same(self) -> bool:
        """Whether a small shared row gives the states that its members have alone.

        Models that ignore the caller's positions or masks, or that keep a running state, do not. In a coarse type a
        wrong layout may differ by little: the states must be nearer to the right ones than a wrong layout's are.
        """
        row = _trial_row(self.vocab_size)
        alone, right = collate(apart(row), self.device), collate([row], self.device)
        wrong_positions = right._replace(positions=torch.arange(_TRIAL_TOKENS, device=self.device)[None])
        no_mask = right._replace(visible=torch.full_like(right.ids, _TRIAL_TOKENS))
        try:
            expected, shared, *wrong = (self(x, _as_it_is)[0] for x in (alone, right, wrong_positions, no_mask))
        except (TypeError, ValueError, RuntimeError, IndexError, AttributeError, KeyError, NotImplementedError):
            return False  # the model takes no positions, or no such mask
        prefix, columns = row.prefixes[1], row.columns()[1]
        for i, states in enumerate(expected):
            own = states[1, prefix:]
            near = _distance(shared[i][0, columns[prefix:]], own)
            far = min(_distance(layers[i][0, columns[prefix:]], own) for layers in wrong)
            if not (near <= _TOLERANCE[self._dtype] and (near <= _SAME or near < far / 2)):
                return False
        return True


def _trial_row(vocab_size: int) -> Row:
    """Two programs of 24 tokens, of which they share 8: ``_TRIAL_TOKENS`` in all."""
    first = (torch.arange(24) * 7 + 3) % vocab_size
    other = torch.cat([first[:8], (torch.arange(16) * 11 + 5) % vocab_size])
    ids = torch.cat([first, other[8:]]).numpy()
    return Row((0, 1), ids, (0, 8), (24, 24))


def _as_it_is(hidden: Tensor) -> Tensor:
    return hidden


def _distance(a: Tensor, b: Tensor) -> float:
    """Mean relative difference of states ``(n, D)``."""
    return float(((a - b).float().norm(dim=-1) / b.float().norm(dim=-1).clamp_min(1e-12)).mean())
