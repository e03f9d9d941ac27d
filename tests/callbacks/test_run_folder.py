from pathlib import Path

import pytest
from lightning.pytorch.loggers import CSVLogger, WandbLogger

from pttrust_lightning.callbacks import ExportModel
from pttrust_lightning.callbacks.run_folder import run_folder


def test_without_a_logger_it_is_the_root_folder(tmp_path, trainer):
    assert run_folder(trainer()) == tmp_path


def test_with_a_csv_logger_each_run_has_its_version(tmp_path, trainer, exportable, data):
    folders = []
    for _ in range(2):
        run = trainer(logger=CSVLogger(tmp_path, name="runs"), max_epochs=1)
        run.fit(type(exportable)(), datamodule=data)
        folders.append(run_folder(run))
    assert folders == [tmp_path / "runs" / "version_0", tmp_path / "runs" / "version_1"]


@pytest.mark.parametrize("mode", ["offline", "disabled"])
def test_with_wandb_it_is_the_wandb_runs_own(mode, tmp_path, monkeypatch, trainer, exportable, data):
    wandb = pytest.importorskip("wandb")
    for name in ("WANDB_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("WANDB_MODE", mode)
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    csv = CSVLogger(tmp_path, name="csv")
    run = trainer([ExportModel()], logger=[csv, WandbLogger(save_dir=tmp_path, project="test")], max_epochs=1)
    try:
        folder = run_folder(run)
        assert folder == Path(wandb.run.dir).parent
        assert wandb.run.id in folder.name
        run.fit(exportable, datamodule=data)
    finally:
        wandb.finish()
    assert folder.is_relative_to(tmp_path)
    assert (folder / "export" / "weight.txt").is_file()
