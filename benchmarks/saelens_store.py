"""The extraction benchmark's optional rival: SAELens's activation store (pip install "sae-lens>=6.54").

It knows no programs and no lines: it reads the same tokens end to end in contexts of one length, without padding, stops
at the layer, and keeps the activation of every token. So its states are other ones (what precedes a token differs), and
there is nothing to compare them with.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import torch

from pttrust_lightning.states.config import LineStateConfig
from pttrust_lightning.states.extractor import LineStateExtractor
from pttrust_lightning.states.language_model import load_causal_lm, load_config, load_tokenizer
from pttrust_lightning.types import Exclusions, ProgramGroup

CONTEXT = 256


def is_installed() -> bool:
    """Whether it can take part."""
    return importlib.util.find_spec("sae_lens") is not None


class SaeLensStore:
    """Reads groups as SAELens would.

    Args:
        config: Which LLM, and how many tokens a batch.
        extractor: Ours, for the tokens of the programs and the layer.
    """

    def __init__(self, config: LineStateConfig, extractor: LineStateExtractor) -> None:
        model: Any = load_causal_lm(config)
        self._hook = next(
            name
            for name, _ in model.named_modules()
            if name.endswith(f".{extractor.layers[-1]}") and name.count(".") <= 2
        )
        proxy = importlib.import_module("sae_lens.load_model").HookedProxyLM
        self._model = proxy(model, load_tokenizer(config), hook_names=[self._hook])
        self._extractor, self._d_in = extractor, int(load_config(config).hidden_size)
        self._prompts = max(config.batch_tokens // CONTEXT, 1)
        self._device = next(model.parameters()).device

    def __call__(self, groups: Sequence[ProgramGroup], path: Path) -> int:
        """Store every token's activation; the number of tokens."""
        programs, _ = self._extractor.layout(groups, Exclusions())
        ids = [int(token) for program in programs for token in program.token_ids]
        ids += [0] * (-len(ids) % (CONTEXT * self._prompts))  # it reads whole batches only
        rows = [{"tokens": torch.tensor(ids[i : i + CONTEXT])} for i in range(0, len(ids), CONTEXT)]
        store = importlib.import_module("sae_lens.training.activations_store").ActivationsStore(
            model=self._model, dataset=rows, streaming=False, hook_name=self._hook, hook_head_index=None,
            context_size=CONTEXT, d_in=self._d_in, n_batches_in_buffer=2, total_training_tokens=len(ids),
            store_batch_size_prompts=self._prompts, train_batch_size_tokens=CONTEXT, prepend_bos=False,
            normalize_activations="none", device=self._device, dtype="float32",
        )  # fmt: skip
        with h5py.File(path, "w") as file:
            kept = file.create_dataset("activations", (len(ids), self._d_in), "f4")
            for start in range(0, len(ids), CONTEXT * self._prompts):
                activations, _ = store.get_raw_llm_batch()
                kept[start : start + len(activations)] = activations.cpu().numpy()
        return len(ids)
