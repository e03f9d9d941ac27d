import pytest
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger

from pttrust_lightning.callbacks import ExportModel
from pttrust_lightning.errors import ConfigError


def best(folder):
    return ModelCheckpoint(dirpath=folder / "checkpoints", monitor="val/score", mode="max")


def exported(folder):
    return float((folder / "weight.txt").read_text(encoding="utf-8").split()[0])


@pytest.mark.parametrize("order", [1, -1])
def test_the_best_checkpoint_is_exported_and_not_the_last(order, tmp_path, trainer, exportable, data):
    run = trainer([ExportModel(), best(tmp_path)][::order])
    run.fit(exportable, datamodule=data)
    assert run.current_epoch == 5
    assert exported(tmp_path / "export") == 2.0
    assert exportable.weight.item() == 2.0


@pytest.mark.parametrize("monitored", [False, None])
def test_without_a_watched_metric_the_last_weights_are_exported(monitored, tmp_path, trainer, exportable, data):
    checkpoints = [ModelCheckpoint(dirpath=tmp_path / "checkpoints")] if monitored is None else []
    trainer([ExportModel(), *checkpoints]).fit(exportable, datamodule=data)
    assert exported(tmp_path / "export") == 5.0


def test_what_the_states_come_from_goes_with_the_model(tmp_path, trainer, exportable, data):
    trainer([ExportModel("model")]).fit(exportable, datamodule=data)
    assert (tmp_path / "model" / "weight.txt").read_text(encoding="utf-8") == "5.0 {'llm': 'synthetic'}"


def test_dataloaders_without_a_datamodule_have_no_provenance(tmp_path, trainer, exportable, data):
    trainer([ExportModel()]).fit(exportable, data.train_dataloader(), data.val_dataloader())
    assert (tmp_path / "export" / "weight.txt").read_text(encoding="utf-8") == "5.0 {}"


def test_the_export_lies_in_the_loggers_folder(tmp_path, trainer, exportable, data):
    for version in (0, 1):
        run = trainer([ExportModel()], logger=CSVLogger(tmp_path, name="runs"))
        run.fit(type(exportable)(), datamodule=data)
        assert exported(tmp_path / "runs" / f"version_{version}" / "export") == 5.0


def test_a_module_without_export_is_refused_before_it_trains(tmp_path, trainer, counter, data):
    with pytest.raises(ConfigError, match=r"Counter has no export\(\)"):
        trainer([ExportModel()]).fit(counter, datamodule=data)
    assert counter.weight.item() == 0.0


def test_a_model_that_lies_there_is_kept_and_said_before_training(tmp_path, trainer, exportable, data):
    trainer([ExportModel()]).fit(exportable, datamodule=data)
    second = type(exportable)()
    with pytest.raises(ConfigError, match="never overwritten") as error:
        trainer([ExportModel()], max_epochs=3).fit(second, datamodule=data)
    assert str(tmp_path / "export") in str(error.value)
    assert second.weight.item() == 0.0
    assert exported(tmp_path / "export") == 5.0


def test_a_module_without_export_may_be_tested(trainer, counter, data):
    assert trainer([ExportModel()]).test(counter, datamodule=data, verbose=False) == [{"test/weight": 0.0}]


def test_a_fast_dev_run_writes_nothing(tmp_path, monkeypatch, trainer, exportable, data):
    monkeypatch.chdir(tmp_path)
    trainer([ExportModel(), best(tmp_path)], fast_dev_run=True).fit(exportable, datamodule=data)
    assert exportable.weight.item() == 1.0
    assert list(tmp_path.iterdir()) == []
