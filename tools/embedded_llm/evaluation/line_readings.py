"""What an LLM makes of each line: the state at every block and the token probabilities, from one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pttrust_lightning.states.extractor import LineStateExtractor
from pttrust_lightning.types import Exclusions, Program, ProgramGroup, ProgramStates
from tools.embedded_llm.evaluation.llms import ComparedLlm


def read_lines(llm: ComparedLlm, programs: Sequence[Program], exclusions: Exclusions) -> dict[str, ProgramStates]:
    """Run the LLM over programs; prompt and code are one text, cut at its context.

    Args:
        llm: Which LLM, and how many tokens it reads.
        programs: What to read.
        exclusions: Where programs and lines that could not be read are counted.

    Returns:
        The states of every block and the uncertainty of its lines, for each program with a line within the context.

    Raises:
        NonFiniteError: The LLM gave NaN or infinite states.
    """
    config = replace(llm.config, layers=tuple(range(llm.n_blocks)))
    extractor = LineStateExtractor(config, with_uncertainty=True)
    return {s.program_id: s for s in extractor.extract([ProgramGroup(p) for p in programs], exclusions)}
