"""The benchmarks run, and compare the same work; how fast they are is no test's business."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("shape", [None, "tiny"])
def test_extraction_compares_equal_states(tmp_path, llm_folders, shape):
    out = tmp_path / "result.json"
    command = [sys.executable, ROOT / "benchmarks" / "extraction.py", "--programs=4", "--repeats=2", f"--out={out}"]
    random_weights = [f"--shape={shape}", "--bf16", "--packed=128"]
    model = [f"--llm={llm_folders['llama']}", "--layer=2"] if shape is None else random_weights
    done = subprocess.run([*command, *model], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(out.read_text())
    assert result["groups"] >= 4 and result["programs"] > result["groups"] and result["lines"] > 50
    ways = {"separate", "shared"} | ({"shared_bf16"} if shape else set())
    packed = {"packed"} if shape else set()
    assert result["lines_per_second"].keys() == {"usual_way", *ways, *packed}
    assert result["speed_up"].keys() == result["useful"].keys() == ways
    differences = result["largest_relative_difference"]
    assert all(differences[name] < (0.02 if name == "shared_bf16" else 1e-5) for name in ways | packed)
    assert result["tokens"]["separate"]["share_run"] == 1
    assert result["tokens"]["shared"]["share_run"] <= 1
    assert 0 <= result["tokens"]["separate"]["share_padding"] < 0.5
    assert (result["speed_up_of_packing"] is not None) == bool(packed)
    assert result["speed_up"]["shared"]["min"] <= result["speed_up"]["shared"]["median"]
    assert "speed-up of sharing prefixes" in done.stdout
    rivals = {*ways} if importlib.util.find_spec("sae_lens") else set()
    assert result["speed_up_over_sae_lens"].keys() == rivals


def test_cache_read_compares_equal_batches(tmp_path):
    out = tmp_path / "result.json"
    command = [sys.executable, ROOT / "benchmarks" / "cache_read.py", "--megabytes=2", "--repeats=2", f"--out={out}"]
    done = subprocess.run([*command, "--width=32"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(out.read_text())
    ways = {"pttrust_lightning", "group_per_program", "memory_map"}
    assert result["rows"] > 10_000 and result["pairs"] > 100 and result["equal"] is True
    assert result["rows_per_second"].keys() == ways
    assert result["ratio"].keys() == ways - {"pttrust_lightning"}
    for ratio in result["ratio"].values():
        assert 0 < ratio["min"] <= ratio["median"] <= ratio["max"]
    assert "memory_map" in done.stdout
    assert not [p for p in tmp_path.iterdir() if p != out]


def test_stage1_trains_the_same_weights(tmp_path):
    out = tmp_path / "result.json"
    command = [sys.executable, ROOT / "benchmarks" / "stage1.py", "--megabytes=1", "--repeats=2", f"--out={out}"]
    settings = ["--width=32", "--groups-per-batch=8", "--device=cpu"]
    done = subprocess.run([*command, *settings], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(out.read_text())
    assert result["rows"] > 5000 and result["pairs"] > 100 and result["torch_threads"] == 1
    assert result["steps"] == -(-result["training_groups"] // 8) > 5
    ways = {"pttrust_lightning", "bare_loop"}
    assert result["epoch_seconds"].keys() == result["losses"].keys() == ways
    assert result["equal"] is True
    ours, bare = (result["losses"][name] for name in ("pttrust_lightning", "bare_loop"))
    assert len(ours) == 3 and ours == pytest.approx(bare, rel=1e-5)
    assert ours[-1] < ours[0]
    assert 0 < result["ratio"]["min"] <= result["ratio"]["median"] <= result["ratio"]["max"]
    assert "bare_loop" in done.stdout
    assert not [p for p in tmp_path.iterdir() if p != out]


def test_stage2_compares_equal_losses_and_steps(tmp_path):
    out = tmp_path / "result.json"
    command = [sys.executable, ROOT / "benchmarks" / "stage2.py", "--snippets=5", "--max-lines=12", "--calls=1"]
    settings = ["--width=32", "--repeats=2", "--device=cpu", f"--out={out}"]
    done = subprocess.run([*command, *settings], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(out.read_text())
    assert result["sinkhorn_iterations"] == 50
    assert result["snippets"] == 5 and 25 <= result["lines"] <= 60 and result["longest"] <= 12
    rivals = {"literal", "literal_batched"}
    for part in ("loss", "training_step"):
        assert result[part]["milliseconds"].keys() == {"pttrust_lightning", *rivals}
        assert result[part]["speed_up"].keys() == result["largest_difference"][part].keys() == rivals
        for name in rivals:
            assert max(result["largest_difference"][part][name].values()) <= 1e-5
            ratio = result[part]["speed_up"][name]
            assert 0 < ratio["min"] <= ratio["median"] <= ratio["max"]
    assert result["equal"] is True
    assert "literal_batched" in done.stdout


def test_stage2_refuses_to_compare_what_differs(tmp_path):
    """With a tolerance below rounding, the run fails."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import stage2; stage2.TOLERANCE = -1.0; "
        "sys.argv = ['stage2.py', *sys.argv[2:]]; stage2.main()"
    )
    settings = ["--snippets=2", "--max-lines=6", "--width=8", "--calls=1", "--repeats=1", "--device=cpu"]
    command = [sys.executable, "-c", code, ROOT / "benchmarks", *settings, f"--out={tmp_path / 'result.json'}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "the figures compare nothing" in done.stderr
    assert json.loads((tmp_path / "result.json").read_text())["equal"] is False


def test_memory_says_what_was_read(tmp_path):
    out = tmp_path / "result.json"
    command = [sys.executable, ROOT / "benchmarks" / "memory.py", "--megabytes=0.05", f"--out={out}", "--rounds", "0.2"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(out.read_text())
    assert result["programs"] > 100 and result["rows"] > 2000 and result["mutants"] == 1
    assert result["above_mib"] >= 0 and result["loaded_mib"] > 100


def test_every_benchmark_is_tested_here():
    scripts = {f.stem for f in (ROOT / "benchmarks").glob("*.py")} - {"side_by_side", "saelens_store"}  # parts of them
    assert scripts == {"extraction", "cache_read", "memory", "mutations", "stage1", "stage2"}


def test_mutations_of_functions_and_files(tmp_path):
    out = tmp_path / "result.json"
    samples = ROOT / "tests" / "source" / "mutation" / "samples"
    command = [sys.executable, ROOT / "benchmarks" / "mutations.py", "--programs=5", "--repeats=2", "--count=3"]
    sources = [f"--out={out}", "--sources", f"go={samples}", f"rust={samples}"]
    done = subprocess.run([*command, *sources], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    corpora = json.loads(out.read_text())["corpora"]
    assert corpora.keys() == {"python functions", "go files", "rust files"}
    assert 18 <= corpora["python functions"]["mean_lines"] <= 22
    for found in corpora.values():
        mutants, speed = found["mutants"], found["mutants_per_second"]
        assert speed.keys() == mutants.keys() == {"all", "drawn", "drawn_in_processes", "rounds", "rounds_by_line"}
        assert mutants["all"] > mutants["drawn"] == mutants["drawn_in_processes"] > 0
        assert mutants["drawn"] <= 3 * found["programs"] >= mutants["rounds"] > 0
        assert all(0 < rate["min"] <= rate["median"] <= rate["max"] for rate in speed.values())
    assert "drawn_in_processes" in done.stdout
    wrong = subprocess.run(
        [*command, "--sources", "cobol=."], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert wrong.returncode == 2 and "is not LANGUAGE=FOLDER" in wrong.stderr
