"""What the documentation says works: its commands are run, and its links and files exist."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pttrust_lightning.main import main
from pttrust_lightning.tools.sweep_file import read_sweep

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "configs" / "README.md", ROOT / "data" / "README.md", *ROOT.glob("docs/*.md")]


@pytest.fixture
def workplace(tmp_path, llm_folders):
    """A reader's folder: the configs, code, labels and an LLM of their own."""
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    shutil.copytree(llm_folders["qwen2"], tmp_path / "my_llm")
    (tmp_path / "my_code").mkdir()
    with (tmp_path / "my_labels.jsonl").open("w") as labels:
        for i in range(20):
            code = f"def f{i}(x):\n    y = x + {i}\n    if y > {i}:\n        return y\n    return x * {i}\n"
            (tmp_path / "my_code" / f"m{i}.py").write_text(code)
            record = {"id": f"s{i}", "problem_id": f"p{i}", "language": "python", "task": "generation", "prompt": ""}
            record |= {"code": code, "wrong_lines": [1 + i % 4], "correct": False, "label_source": "human"}
            labels.write(json.dumps(record) + "\n")
    return tmp_path


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), flags=re.M | re.S)


def run_commands(page, workplace):
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    commands = blocks(page, "sh")
    for command in commands:
        done = subprocess.run(
            ["bash", "-euc", command], cwd=workplace, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-1000:]}\n{done.stderr[-3000:]}"
    return commands


@pytest.mark.slow
def test_usage_then_operations_run_from_top_to_bottom(workplace):
    page = ROOT / "docs" / "usage.md"
    for content in blocks(page, "yaml"):
        (workplace / content.split("\n")[0].removeprefix("# ")).write_text(content)
    written = {p.name for p in workplace.glob("*.yaml")}
    assert written == {"my_states.yaml", "my_labels.yaml", "my_mutants.yaml", "my_benchmark.yaml"}
    assert len(run_commands(page, workplace)) == 9
    for name in ("my_combined", "my_mutants", "my_mutants_first"):
        exported = workplace / "runs" / name / "version_0" / "export" / "config.json"
        assert json.loads(exported.read_text())["standardised_limit"] == 3.0
    written = {p.name for p in (workplace / "runs" / "my_finetuning").rglob("predictions-*.jsonl")}
    assert written == {"predictions-test.jsonl", "predictions-predict.jsonl"}
    assert (workplace / "runs" / "my_surface" / "version_1" / "predictions-test.jsonl").is_file()
    results = json.loads((workplace / "runs" / "mine" / "results.json").read_text())
    assert results["data"]["unlabelled"]["llm"]["llm"] == "my_llm"

    for program in blocks(page, "python"):
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=workplace, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "my_llm 1" in done.stdout

    assert len(run_commands(ROOT / "docs" / "operations.md", workplace)) == 3
    resumed = (workplace / "runs" / "my_pretraining" / "version_1" / "metrics.csv").read_text().splitlines()
    assert {row.split(",")[0] for row in resumed[1:]} == {"10", "11"}
    assert (workplace / "runs" / "on_two_devices" / "version_0" / "export" / "config.json").is_file()


@pytest.mark.slow
def test_wandb_runs_from_top_to_bottom(workplace):
    for content in blocks(ROOT / "docs" / "usage.md", "yaml"):
        (workplace / content.split("\n")[0].removeprefix("# ")).write_text(content)
    scripts = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{scripts}:{os.environ['PATH']}", "WANDB_SILENT": "true"}
    environment |= {f"WANDB_{name}_DIR": str(workplace / "wandb") for name in ("CACHE", "CONFIG", "DATA")}
    commands = blocks(ROOT / "docs" / "wandb.md", "sh")
    assert len(commands) == 3
    for command in commands:
        done = subprocess.run(
            ["bash", "-euc", command], cwd=workplace, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-1000:]}\n{done.stderr[-3000:]}"
    pretrained, finetuned, tested, resumed = sorted((workplace / "runs" / "wandb").glob("offline-run-*"))
    ids = [folder.name.rsplit("-", 1)[1] for folder in (pretrained, finetuned, tested, resumed)]
    assert ids[3] == ids[1] and len(set(ids)) == 3
    made = {p.name for p in tested.iterdir()}
    assert {"figures", "riskiest_lines.csv", "riskiest_lines.md", "predictions-test.jsonl"} <= made
    assert all((folder / "export" / "config.json").is_file() for folder in (pretrained, finetuned, resumed))
    assert (workplace / "runs" / "pttrust" / "version_0" / "figures" / "firing_rates-dark.svg").is_file()


def test_the_table_of_units_is_complete():
    from pttrust_lightning.metrics.units import UNITS

    table = (ROOT / "docs" / "wandb.md").read_text(encoding="utf-8").split("| metric | unit |")[1]
    assert dict(re.findall(r"^\| `([\w@%]+)` \| (.+) \|$", table, flags=re.M)) == UNITS


def test_labelling_runs_from_top_to_bottom(tmp_path, sandbox):
    page = ROOT / "docs" / "labelling.md"
    for name, record in zip(("problems.jsonl", "candidates.jsonl"), blocks(page, "json"), strict=True):
        (tmp_path / name).write_text(record)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    said = []
    for command in blocks(page, "sh"):
        done = subprocess.run(
            ["bash", "-euc", command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-1000:]}\n{done.stderr[-3000:]}"
        said.append(done.stdout)
    assert len(said) == 3
    assert "1 requests" in said[2]
    (label,) = map(json.loads, (tmp_path / "labels.jsonl").read_text().splitlines())
    assert (label["wrong_lines"], label["label_source"]) == ([0], "diff:reference")
    assert not (tmp_path / "judged.jsonl").exists()
    (use,) = blocks(page, "yaml")
    assert yaml.safe_load(use)["data"]["init_args"]["snippets"]["init_args"]["path"] == "labels.jsonl"


def test_benchmarks_become_problems(tmp_path, shared_data):
    (tmp_path / "humanevalpack").symlink_to(shared_data / "humanevalpack")
    (program,) = blocks(ROOT / "docs" / "labelling.md", "python")
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "humanevalpack_candidates.jsonl").read_text().splitlines()) == 2 * 164


def test_the_labelled_example_is_valid(tmp_path):
    from pttrust_lightning.source import JsonlLabelled
    from pttrust_lightning.types import Exclusions

    (example,) = blocks(ROOT / "docs" / "usage.md", "json")
    (tmp_path / "labels.jsonl").write_text(example)
    (snippet,) = JsonlLabelled(str(tmp_path / "labels.jsonl")).snippets(Exclusions())
    assert snippet.wrong_lines == (1,)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_files_and_links_exist(page):
    text = page.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        if not link.startswith("http"):
            assert (page.parent / link).exists(), link
    for file in re.findall(r"configs/[a-z_]+/[a-z_]+\.yaml|benchmarks/[a-z_]+\.py", text):
        assert (ROOT / file).is_file(), file
    for file in re.findall(r"`([a-z_]+/[a-z_]+\.py)`", text):
        assert (ROOT / "src" / "pttrust_lightning" / file).is_file() or (ROOT / file).is_file(), file


def commands_to_read(page):
    """The commands in indented blocks, without their comments: those in fenced blocks are run above."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    lines = re.sub(r"\s*\\\n\s*", " ", text).splitlines()
    commands = [
        line.split("#")[0].replace("-m pttrust_lightning.main", "pttrust") for line in lines if line[:4] == "    "
    ]
    found = [re.search(r"\bpttrust (.+)", command) for command in commands]
    return [m[1].split() for m in found if m and not re.search(r"\.\.\.|[$|]", m[1])]


COMMANDS = [(page.relative_to(ROOT).as_posix(), command) for page in PAGES for command in commands_to_read(page)]


@pytest.mark.parametrize(("page", "command"), COMMANDS, ids=lambda part: part if isinstance(part, str) else part[0])
def test_commands_that_take_hours_or_many_machines_are_read_by_their_parsers(
    page, command, tmp_path, monkeypatch, capsys
):
    """What they do is tested where it is small: the files of configs/ by test_configs."""
    for content in blocks(ROOT / "docs" / "usage.md", "yaml"):
        (tmp_path / content.split("\n")[0].removeprefix("# ")).write_text(content)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    monkeypatch.chdir(tmp_path)
    if command[0] == "sweep":
        assert command[1:4:2] == ["--config", "--trials"] and read_sweep(Path(command[2])).parameters
        return
    if command[0] == "compare":  # read, and then there are no runs
        assert main(command) == 2 and "Give the output_dir of a benchmark that has ended" in capsys.readouterr().err
        return
    with pytest.raises(SystemExit) as stopped:
        main([*command, "--print_config"])
    said = capsys.readouterr()
    assert stopped.value.code == 0, said.err
    assert yaml.safe_load(said.out)


def test_commands_to_read_are_found():
    read = {(page, " ".join(command[:2])) for page, command in COMMANDS}
    assert {
        ("README.md", "benchmark --config"),
        ("README.md", "data stats"),
        ("configs/README.md", "fit --config"),
    } <= read
    assert ["extract", "--config", "my_states.yaml", "--devices", "8", "--num_nodes", "4"] in [c for _, c in COMMANDS]


def test_the_first_screen_of_the_readme_is_the_two_commands():
    first_screen = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:10]
    commands = [line.split("#")[0].strip() for line in first_screen if line.startswith("    make")]
    assert commands == ["make quickstart", "make test"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert all(re.search(rf"^{c.split()[1]}:", makefile, flags=re.M) for c in commands)
