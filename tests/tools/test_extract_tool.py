"""``pttrust extract`` from several processes, as a user starts it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pttrust_lightning.cache.reader import StateCache

SOURCE = Path(__file__).parents[2] / "src" / "pttrust_lightning"

CONFIG = """
data:
  class_path: pttrust_lightning.datamodules.UnlabelledStates
  init_args:
    corpus:
      class_path: pttrust_lightning.source.FolderCorpus
      init_args: {{path: {corpus}}}
    states: {{llm: {llm}, layer: 0, device: cpu}}
    cache_dir: {cache}
    shard_megabytes: 0.05
"""


def extract(folder, name, llm, *options):
    """Fill the cache of that name, in a process of its own."""
    config = folder / f"{name}.yaml"
    config.write_text(CONFIG.format(corpus=folder / "code", llm=llm, cache=folder / name))
    command = [sys.executable, "-m", "pttrust_lightning.main", "extract", f"--config={config}", *options]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(SOURCE.parent), *sys.path]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / name


@pytest.mark.slow
def test_two_processes_fill_the_cache_that_one_would(tmp_path, llm_folders):
    code = tmp_path / "code"
    code.mkdir()
    sources = [path.read_text() for path in sorted((SOURCE / "metrics").glob("*.py"))]
    for number, text in enumerate(sources):
        (code / f"{number}.py").write_text(text)
    llm = llm_folders["llama"]
    alone = extract(tmp_path, "alone", llm)
    together = extract(tmp_path, "together", llm, "--devices=2", "--accelerator=cpu")
    assert {path.name for path in together.glob("*.jsonl")} == {"shards-0.jsonl", "shards-1.jsonl"}
    assert all(path.stat().st_size for path in together.glob("*.jsonl"))

    expected, found = StateCache(alone), StateCache(together)
    assert sorted(found.group_ids) == sorted(expected.group_ids)
    assert (found.n_rows, found.n_pairs) == (expected.n_rows, expected.n_pairs)
    for name in expected.group_ids:
        assert torch.equal(found.program(name).states, expected.program(name).states)
