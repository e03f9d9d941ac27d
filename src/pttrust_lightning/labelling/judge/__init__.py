"""Wrong lines from an LLM judge behind any OpenAI-compatible endpoint."""

from pttrust_lightning.labelling.judge.config import JudgeConfig
from pttrust_lightning.labelling.judge.judge import Estimate, Judge

__all__ = ["Estimate", "Judge", "JudgeConfig"]
