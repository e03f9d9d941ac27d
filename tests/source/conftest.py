from __future__ import annotations

import os
from pathlib import Path

import pytest

from pttrust_lightning.source.corpora import StandardLibrary
from pttrust_lightning.types import Exclusions, Program


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public benchmarks, which not every machine has."""
    beside_project = Path(__file__).parents[2].parent / "shared" / "data"
    folder = Path(os.environ.get("PTTRUST_SHARED_DATA", beside_project))
    if not folder.is_dir():
        pytest.skip("the public benchmarks in ../shared/data are missing (PTTRUST_SHARED_DATA names another folder)")
    return folder


@pytest.fixture(scope="session")
def library_functions() -> list[Program]:
    """All functions of the standard library with 4 to 40 non-blank lines; reading them takes seconds."""
    return list(StandardLibrary(min_lines=4, max_lines=40).programs(Exclusions()))
