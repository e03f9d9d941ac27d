from __future__ import annotations

import os
from pathlib import Path

import pytest

from pttrust_lightning.errors import SandboxError, ToolchainError
from pttrust_lightning.labelling.sandbox import Limits, Sandbox, find_sandbox
from pttrust_lightning.labelling.suites import SUITES


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public benchmarks, which not every machine has."""
    beside_project = Path(__file__).parents[2].parent / "shared" / "data"
    folder = Path(os.environ.get("PTTRUST_SHARED_DATA", beside_project))
    if not folder.is_dir():
        pytest.skip("the public benchmarks in ../shared/data are missing (PTTRUST_SHARED_DATA names another folder)")
    return folder


@pytest.fixture(scope="session")
def sandbox() -> Sandbox:
    """A sandbox that has passed its self-test; CI demands one (PTTRUST_REQUIRE_SANDBOX)."""
    try:
        return find_sandbox()
    except SandboxError as error:
        if os.environ.get("PTTRUST_REQUIRE_SANDBOX"):
            raise
        pytest.skip(f"no sandbox here: {str(error).splitlines()[1]}")


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
