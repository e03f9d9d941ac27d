from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny_llms import save_llm

ROOT = Path(__file__).parents[4]
SHARED_DATA = ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public benchmarks, which not every machine has."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the public benchmarks in ../shared/data are missing")
    return SHARED_DATA


@pytest.fixture(scope="session")
def llm_pair(tmp_path_factory) -> list[Path]:
    """Two tiny LLMs of different tokenizers and depths: 2 and 3 blocks."""
    folder = tmp_path_factory.mktemp("pair")
    return [
        save_llm(folder / "new", "llama", num_hidden_layers=2),
        save_llm(folder / "old", "qwen2", num_hidden_layers=3),
    ]


@pytest.fixture
def corpus(tmp_path) -> Path:
    """A tiny corpus of two languages, as the real one lies on disk."""
    for split, files in (("train", 6), ("held_out", 4)):
        for language, line in (("python", "def f{i}(x):\n    return x + {i}\n\n"), ("java", "int f{i} = {i};\n")):
            path = tmp_path / "corpus" / split / f"{language}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            codes = ["".join(line.format(i=i + k) for k in range(3 + 20 * (i == 1))) for i in range(files)]
            records = [
                {"id": f"{split}{i}", "language": language, "source": "test", "code": code}
                for i, code in enumerate(codes)
            ]
            path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return tmp_path / "corpus"


def program(i: int, wrong: bool) -> str:
    """Eight lines; the wrong program differs in one of them."""
    lines = [f"    a{k} = a{k - 1} * {i + k}" for k in range(1, 7)]
    if wrong:
        lines[i % 6] = lines[i % 6].replace("*", "-")
    return "\n".join([f"def f{i}(a0):", *lines, "    return a6"]) + "\n"


@pytest.fixture
def data(tmp_path) -> Path:
    """A handful of buggy programs as both benchmarks lie on disk: 10 and 12 snippets, a one-line one among each."""
    folder = tmp_path / "data"
    for name in ("humanevalpack", "debugbench"):
        (folder / name).mkdir(parents=True)
    rows = [
        {
            "task_id": f"Python/{i}",
            "prompt": f'"""Problem {i}."""\n',
            "canonical_solution": program(i, False) if i else "return 1\n",
            "buggy_solution": program(i, True) if i else "return 2\n",
        }
        for i in range(10)
    ]
    write(folder / "humanevalpack" / "python.jsonl", rows)
    items = [
        {
            "language": "python3",
            "bug_type": "condition error" if i < 11 else "missing colons",
            "slug": f"problem-{i}",
            "description": "",
            "solution": program(i, False),
            "buggy_code": program(i, True) if i else program(i, True) + "x = '" + "long " * 300 + "'\n",
        }
        for i in range(12)
    ]
    write(folder / "debugbench" / "python3.jsonl", items)
    return folder


def write(path: Path, records: list[dict]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
