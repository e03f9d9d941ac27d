"""The benchmarks run, and compare the same work; how fast they are is no test's business."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_extraction_compares_equal_states(tmp_path, llm_folders):
    out = tmp_path / "result.json"
    command = [sys.executable, ROOT / "benchmarks" / "extraction.py", "--programs=5", "--repeats=2", f"--out={out}"]
    done = subprocess.run(
        [*command, f"--llm={llm_folders['llama']}"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(out.read_text())
    assert result["programs"] == 5 and result["lines"] > 15
    assert result["largest_difference"] < 1e-4
    assert result["lines_per_second"].keys() == {"usual_way", "pttrust_lightning"}
    assert result["speed_up"]["min"] <= result["speed_up"]["median"] <= result["speed_up"]["max"]
    assert "speed-up" in done.stdout


def test_every_benchmark_is_tested_here():
    assert {f.stem for f in (ROOT / "benchmarks").glob("*.py")} == {"extraction"}
