"""LightningModules: contrastive pre-training, risk fine-tuning."""

from pttrust_lightning.modules.finetuning import RiskFineTuning
from pttrust_lightning.modules.pretraining import ContrastivePretraining

__all__ = ["ContrastivePretraining", "RiskFineTuning"]
