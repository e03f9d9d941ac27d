from __future__ import annotations

import pytest

from pttrust_lightning.datamodules import cached_states
from pttrust_lightning.states.extractor import LineStateExtractor


@pytest.fixture
def llm_loads(monkeypatch):
    """The LLMs that were loaded so far, and what each was asked to read."""
    loads = []

    class Counted(LineStateExtractor):
        def __init__(self, *settings):
            super().__init__(*settings)
            self.asked = []
            loads.append(self)

        def extract(self, groups, exclusions, *options):
            self.asked += [p.id for g in groups for p in g.programs]
            return super().extract(groups, exclusions, *options)

    monkeypatch.setattr(cached_states, "LineStateExtractor", Counted)
    return loads
