"""LightningModules: contrastive pre-training, risk fine-tuning."""
