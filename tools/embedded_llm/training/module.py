"""The LightningModule that trains a stock Llama on windows of code."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from tools.embedded_llm.training.optimizer import MuonAdamW, split_parameters, trapezoid


class CausalLanguageModelling(LightningModule):
    """Next-token prediction with ``LlamaForCausalLM``.

    Args:
        vocab_size: Tokens of the tokenizer.
        hidden_size: Width D.
        intermediate_size: Width of the feed-forward part.
        num_hidden_layers: Decoder blocks.
        num_attention_heads: Attention heads.
        context_length: Longest input, in tokens.
        rope_theta: Base of the rotary positions.
        lr: Learning rate of the blocks' matrices (Muon).
        adamw_lr: Learning rate of embeddings and norms (AdamW).
        weight_decay: Decoupled weight decay of the matrices.
        warmup_steps: Steps of rising learning rate.
        decay_steps: Steps of falling learning rate, the last ones before ``trainer.max_steps``.
        compile: Compile the model (needs a C++ compiler on CPU): about twice as fast.
        seed_weights: Seed of the initial weights.
    """

    def __init__(
        self,
        vocab_size: int = 8192,
        hidden_size: int = 256,
        intermediate_size: int = 704,
        num_hidden_layers: int = 8,
        num_attention_heads: int = 4,
        context_length: int = 1024,
        rope_theta: float = 10000.0,
        lr: float = 5e-3,
        adamw_lr: float = 3e-3,
        weight_decay: float = 0.0,
        warmup_steps: int = 50,
        decay_steps: int = 300,
        compile: bool = False,
        seed_weights: int = 0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        config = LlamaConfig(
            vocab_size=vocab_size,
            hidden_size=hidden_size,
            intermediate_size=intermediate_size,
            num_hidden_layers=num_hidden_layers,
            num_attention_heads=num_attention_heads,
            num_key_value_heads=num_attention_heads,
            max_position_embeddings=context_length,
            rope_parameters={"rope_theta": rope_theta, "rope_type": "default"},
            tie_word_embeddings=True,
            use_cache=False,
            bos_token_id=0,
            eos_token_id=0,
            attn_implementation="sdpa",
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_weights)
            self.language_model = LlamaForCausalLM(config)
        # Compiled where it is used, so that the checkpoint's names stay those of the plain model.
        self._loss = torch.compile(self._token_loss, dynamic=False) if compile else self._token_loss

    def _token_loss(self, windows: Tensor) -> Tensor:
        inputs, targets = windows[:, :-1], windows[:, 1:]
        logits = self.language_model(input_ids=inputs, use_cache=False).logits
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        """Mean nats a token of windows ``(B, T + 1)``.

        Raises:
            FloatingPointError: The loss is not finite.
        """
        loss: Tensor = self._loss(batch)
        if not torch.isfinite(loss):
            raise FloatingPointError(
                f"the loss is {loss.item()} at step {self.trainer.global_step}; lower model.lr and resume from the "
                "last checkpoint"
            )
        self.log("train/nats_per_token", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: Tensor, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Mean nats a token of held-out windows, by language."""
        languages = self.trainer.datamodule.languages  # type: ignore[attr-defined]
        loss = self._token_loss(batch)
        self.log(
            f"val/{languages[dataloader_idx]}", loss, add_dataloader_idx=False, batch_size=len(batch), prog_bar=True
        )

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Muon and AdamW under one trapezoidal schedule.

        Raises:
            ValueError: ``trainer.max_steps`` is not set.
        """
        settings: Any = self.hparams
        total = self.trainer.max_steps
        if total <= 0:
            raise ValueError("trainer.max_steps is not set: the schedule needs to know where the run ends")
        muon, adamw = split_parameters(self.language_model)
        optimizer = MuonAdamW(
            muon, adamw, lr=settings.lr, adamw_lr=settings.adamw_lr, weight_decay=settings.weight_decay
        )
        scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: trapezoid(step, settings.warmup_steps, settings.decay_steps, total)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
