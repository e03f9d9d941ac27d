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
        gives_attention: Also give attention weights, of every block of the whole LLM.

    Attributes:
        layers: The blocks that are read, ascending.
        device: Where the LLM runs.
        vocab_size: Size of its vocabulary.
        cost: What one of its blocks costs.
        n_heads: Attention heads of each block; 0 where attention is not given.

    Raises:
        LanguageModelError: The model or a layer cannot be used, or it does not give its attention weights.
    """

    def __init__(self, config: LineStateConfig, whole: bool, gives_attention: bool = False) -> None:
        whole = whole or gives_attention
        llm_config = load_config(config)
        self.layers = resolve_layers(config.layer, config.layers, llm_config.num_hidden_layers)
        self.device = resolve_device(config.device)
        self.vocab_size: int = llm_config.vocab_size
        self._llm_config = llm_config
        self._whole = whole
        self._model = load_causal_lm(config, gives_attention) if whole else load_truncated(config)
        n_blocks = llm_config.num_hidden_layers if whole else self.layers[-1] + 1
        blocks = decoder_blocks(self._model, n_blocks)
        self._blocks = [blocks[layer] for layer in self.layers]
        self._last_mlp: SelectedTokens | None = None
        self._dtype: torch.dtype = getattr(torch, config.dtype)
        self.cost = block_cost(self._blocks[0], llm_config.hidden_size)
        self._attentions: list[nn.Module] = []
        self.n_heads = 0
        if gives_attention:
            self._attentions, self.n_heads = self._attention_modules(blocks, config.llm)
        self._check_causal(config.llm)
        if not whole:
            self._last_mlp = self._narrowed_mlp()

    @torch.no_grad()  # not inference_mode: its tensors could not enter autograd later
    def __call__(
        self,
        inputs: Inputs,
        keep: Callable[[Tensor], Tensor],
        tokens: Tensor | None = None,
        on_attention: Callable[[Tensor], object] = lambda weights: None,
    ) -> tuple[list[Tensor], Tensor | None]:
        """What is kept of each layer's output ``(B, S, D)``, and the logits ``(B, S, V)`` of the whole LLM.

        Args:
            inputs: What is read.
            keep: Applied to a layer's output as soon as there is one, so that no output is held longer than needed.
            tokens: Rows of the flattened output that are used; in the last layer, what stands elsewhere may be wrong.
            on_attention: Told the attention weights ``(B, H, S, S)`` of each block, in order, as soon as there are any,
                so that no more than one block's are held; only where attention is given.
        """
        kept: list[Tensor] = []

        def hook(_module: nn.Module, _inputs: object, output: Tensor | tuple[Tensor, ...]) -> None:
            kept.append(keep(output[0] if isinstance(output, tuple) else output))

        def attention_hook(_module: nn.Module, _inputs: object, output: tuple[Tensor, ...]) -> None:
            on_attention(output[1])

        settings: dict[str, Any] = {}
        if inputs.segments is not None and inputs.visible is not None:
            mask = attention_mask(inputs.segments, inputs.visible, self._dtype)
            settings = {"position_ids": inputs.positions, "attention_mask": mask}
        handles = [block.register_forward_hook(hook) for block in self._blocks]
        handles += [module.register_forward_hook(attention_hook) for module in self._attentions]
        if self._last_mlp is not None:
            self._last_mlp.tokens = tokens
        try:
            output = self._model(input_ids=inputs.ids, use_cache=False, **settings)
        finally:
            for handle in handles:
                handle.remove()
        return kept, output.logits if self._whole else None

    @torch.no_grad()
    def _attention_modules(self, blocks: nn.ModuleList, name: str) -> tuple[list[nn.Module], int]:
        """The part of each block that gives its attention weights beside its output, and how many heads they have.

        Families name it differently (``self_attn``, ``attn``, ``attention``), so it is found by what it gives in a
        small trial: a tuple, with weights ``(B, H, S, S)`` in second place.
        """
        n = 8
        found: dict[int, list[tuple[nn.Module, int]]] = {}

        def hook(block: int, module: nn.Module, output: object) -> None:
            weights = output[1] if isinstance(output, tuple) and len(output) > 1 else None
            if isinstance(weights, Tensor) and weights.ndim == 4 and weights.shape[-2:] == (n, n):
                found.setdefault(block, []).append((module, weights.shape[1]))

        handles = [
            child.register_forward_hook(lambda module, _inputs, output, block=i: hook(block, module, output))
            for i, block in enumerate(blocks)
            for child in block.children()
        ]
        try:
            self(Inputs(torch.arange(n, device=self.device)[None] % self.vocab_size), _as_it_is)
        finally:
            for handle in handles:
                handle.remove()
        heads = {of_one for parts in found.values() for _, of_one in parts}
        if sorted(found) != list(range(len(blocks))) or any(len(p) > 1 for p in found.values()) or len(heads) > 1:
            raise LanguageModelError(
                f"{name} ({type(self._model).__name__}) does not give the attention weights of each of its "
                f"{len(blocks)} blocks, all of as many heads. Set lookback: false, or use another LLM."
            )
        return [found[i][0][0] for i in range(len(blocks))], heads.pop()

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
