"""Candidate programs from an LLM."""

from pttrust_lightning.labelling.generation.candidates import generate
from pttrust_lightning.labelling.generation.config import SamplingConfig

__all__ = ["SamplingConfig", "generate"]
