from __future__ import annotations

import pytest

from pttrust_lightning.datamodules import cached_states
from pttrust_lightning.states.extractor import LineStateExtractor


@pytest.fixture
def llm_loads(monkeypatch):
    """The LLMs that were loaded so far, and what each was asked to read."""
    loads = []

    class Counted(LineStateExtractor):
        def __init__(self, config, with_uncertainty=False):
            super().__init__(config, with_uncertainty)
            self.read = []
            loads.append(self)

        def extract(self, programs, exclusions):
            self.read += [p.id for p in programs]
            return super().extract(programs, exclusions)

    monkeypatch.setattr(cached_states, "LineStateExtractor", Counted)
    return loads
