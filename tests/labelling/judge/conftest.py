from __future__ import annotations

from collections.abc import Iterator

import pytest
from judge_stand_in import StandIn, stand_in


@pytest.fixture
def endpoint(monkeypatch) -> Iterator[StandIn]:
    """A local OpenAI-compatible endpoint; no proxy stands between."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with stand_in() as running:
        yield running
