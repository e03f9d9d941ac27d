"""Which decoder block is read, and where a model keeps its blocks."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from pttrust_lightning.errors import LanguageModelError


def default_layer(n_layers: int) -> int:
    """The last block of the first quarter, 0-based (METHOD: line states; the paper: block 9 of 40)."""
    return max(n_layers // 4 - 1, 0)


def resolve_layer(layer: int | None, n_layers: int) -> int:
    """The 0-based block to read of a model with ``n_layers`` blocks; None is the default.

    Raises:
        LanguageModelError: The model has no such block.
    """
    if layer is None:
        return default_layer(n_layers)
    if not 0 <= layer < n_layers:
        raise LanguageModelError(
            f"layer {layer} does not exist: this LLM has blocks 0 to {n_layers - 1}. "
            f"Choose one of them, or leave layer out for block {default_layer(n_layers)}."
        )
    return layer


def state_layers(layer: int | Sequence[int] | None, n_layers: int) -> tuple[int, ...]:
    """The blocks that make up a line's state, ascending: one, or those whose states are put one after the other.

    Raises:
        LanguageModelError: The model has no such block, or none is named.
    """
    named = (layer,) if layer is None or isinstance(layer, int) else tuple(layer)
    if not named:
        raise LanguageModelError(f"layer names no block. Choose some of 0 to {n_layers - 1}, or leave layer out.")
    return tuple(sorted({resolve_layer(index, n_layers) for index in named}))


def resolve_layers(layer: int | Sequence[int] | None, others: Sequence[int], n_layers: int) -> tuple[int, ...]:
    """Every block that is read of a model with ``n_layers`` blocks, ascending: those of ``layer`` and the others.

    Raises:
        LanguageModelError: The model has no such block.
    """
    return tuple(sorted({*state_layers(layer, n_layers), *(resolve_layer(index, n_layers) for index in others)}))


def decoder_blocks(model: nn.Module, n_layers: int) -> nn.ModuleList:
    """The list of a model's decoder blocks: its only outermost ModuleList of that length.

    Families name it differently (``layers``, ``h``, ``blocks``), so it is found by its length.

    Raises:
        LanguageModelError: No such list, or more than one.
    """
    found: list[nn.ModuleList] = []
    inside: list[str] = []
    for name, module in model.named_modules():
        if any(name.startswith(prefix) for prefix in inside):
            continue  # a list inside a block (experts, say) is not a list of blocks
        if isinstance(module, nn.ModuleList):
            inside.append(f"{name}.")
            if len(module) == n_layers:
                found.append(module)
    if len(found) != 1:
        raise LanguageModelError(
            f"Found {len(found)} lists of {n_layers} decoder blocks in {type(model).__name__}, expected one. "
            "Use a decoder-only causal language model."
        )
    return found[0]
