"""Ranking, line-level and effort-aware metrics: functional form and torchmetrics classes."""
