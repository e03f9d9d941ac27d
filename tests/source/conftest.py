from __future__ import annotations

import pytest

from pttrust_lightning.source.corpora import StandardLibrary
from pttrust_lightning.types import Exclusions, Program


@pytest.fixture(scope="session")
def library_functions() -> list[Program]:
    """All functions of the standard library with 4 to 40 non-blank lines; reading them takes seconds."""
    return list(StandardLibrary(min_lines=4, max_lines=40).programs(Exclusions()))
