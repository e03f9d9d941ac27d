from __future__ import annotations

import logging
import os
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"  # before transformers is imported: no test may reach the network
os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is: tiny models lose more to threads than they gain

import pytest
import torch
from tiny_llms import FAMILIES, TOKENIZERS, save_llm

from pttrust_lightning.errors import SandboxError
from pttrust_lightning.labelling.sandbox import Sandbox, find_sandbox

logging.getLogger("transformers").setLevel(logging.WARNING)


LONGEST = ("test_configs.py", "test_docs.py", "test_notebooks.py")
"""Files of tests that take minutes together."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: else one of several processes is left with one when the others have done all else."""
    rank = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))


class LlmFolders(dict):
    """The folder of each family's tiny LLM; made when first asked for."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self._root = root

    def __missing__(self, family: str) -> Path:
        self[family] = save_llm(self._root / family, family)
        return self[family]


@pytest.fixture(autouse=True)
def seeded_torch() -> None:
    """What a test draws does not depend on which tests ran before it in the same process."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def llm_folders(tmp_path_factory) -> LlmFolders:
    return LlmFolders(tmp_path_factory.mktemp("llms"))


@pytest.fixture(scope="session", params=list(FAMILIES))
def family(request) -> str:
    """Each architecture in turn."""
    return request.param


@pytest.fixture(scope="session")
def llm(llm_folders, family) -> Path:
    """The folder of each family's tiny LLM in turn."""
    return llm_folders[family]


@pytest.fixture(scope="session")
def gpt2(llm_folders) -> Path:
    """One tiny LLM, where the family does not matter."""
    return llm_folders["gpt2"]


@pytest.fixture(scope="session")
def tokenizers() -> dict:
    """Every kind of tokenizer, by name."""
    return {name: make() for name, make in TOKENIZERS.items()}


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public benchmarks, which not every machine has."""
    beside_project = Path(__file__).parents[1].parent / "shared" / "data"
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
