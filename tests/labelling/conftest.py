from __future__ import annotations

import pytest

from pttrust_lightning.errors import ToolchainError
from pttrust_lightning.labelling.sandbox import Limits
from pttrust_lightning.labelling.suites import SUITES


@pytest.fixture(scope="session")
def toolchain(sandbox):
    """Skip where the sandbox lacks a language's tools."""
    tried: dict[str, str] = {}

    def require(language: str) -> None:
        if language not in tried:
            try:
                SUITES[language].toolchain(sandbox, Limits())
                tried[language] = ""
            except ToolchainError as error:
                tried[language] = str(error)
        if tried[language]:
            pytest.skip(tried[language])

    return require
