"""The recipe's README, run as it stands."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
README = ROOT / "tools" / "embedded_llm" / "README.md"


def commands() -> list[str]:
    (block,) = re.findall(r"```sh\n(.*?)```", README.read_text(), flags=re.DOTALL)
    return block


@pytest.mark.slow
def test_the_recipe_runs_on_a_tiny_budget(tmp_path):
    shutil.copytree(ROOT / "tools", tmp_path / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    result = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands()],
        cwd=tmp_path, env={**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, check=False, timeout=900,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    llm = tmp_path / "runs" / "embedded_llm" / "tiny" / "llm"
    card = (llm / "README.md").read_text()
    assert "Python" in card
    manifest = json.loads((llm / "data_manifest.json").read_text())
    assert [source["licence"] for source in manifest["sources"]] == ["PSF-2.0"]
    report = json.loads((llm.parent / "compression.json").read_text())
    bits = report["languages"]["python"]["methods"]["llm"]["bits_per_byte"]["value"]
    assert 1 < bits < 5  # untrained: log2(1024) bits a token of some 2.5 bytes, about 4; random bytes would cost 8
    curve = [json.loads(line) for line in (llm.parent / "loss.jsonl").read_text().splitlines()]
    held_out = [record["held_out"]["python"] for record in curve if "held_out" in record]
    assert held_out[-1] < 6.0  # uniform over the vocabulary would be ln(1024) = 6.93
    loaded = subprocess.run(
        [sys.executable, "-c", f"import transformers; transformers.AutoModelForCausalLM.from_pretrained({str(llm)!r})"],
        check=False,
    )
    assert loaded.returncode == 0


def test_every_path_and_command_in_the_readme_exists():
    text = README.read_text()
    for module in set(re.findall(r"python -m (tools[\w.]+)", text)):
        found = ROOT / Path(*module.split("."))
        assert found.with_suffix(".py").is_file() or (found / "__main__.py").is_file(), module
    for name in set(re.findall(r"tools/embedded_llm/[\w/]+\.yaml", text)):
        assert (ROOT / name).is_file(), name
