import pytest
import yaml
from lightning.pytorch.cli import LightningCLI

from pttrust_lightning.callbacks import SaveFitConfig


@pytest.fixture
def cli(tmp_path, monkeypatch, counting_classes):
    """Runs a LightningCLI in ``tmp_path`` with a quiet trainer."""
    monkeypatch.chdir(tmp_path)

    def run(*args, **trainer):
        defaults = {
            "accelerator": "cpu",
            "max_epochs": 1,
            "logger": {
                "class_path": "lightning.pytorch.loggers.CSVLogger",
                "init_args": {"save_dir": str(tmp_path), "name": "runs"},
            },
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "enable_checkpointing": False,
            "num_sanity_val_steps": 0,
        }
        return LightningCLI(
            *counting_classes,
            args=list(args),
            save_config_callback=SaveFitConfig,
            trainer_defaults=defaults | trainer,
            seed_everything_default=0,
        )

    return run


def configs(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("config.yaml"))


@pytest.mark.filterwarnings("ignore:.*LightningCLI's args parameter.*")
class TestSaveFitConfig:
    def test_each_fit_keeps_its_own_configuration(self, tmp_path, cli):
        cli("fit", "--seed_everything=3")
        cli("fit", "--seed_everything=4")
        assert configs(tmp_path) == ["runs/version_0/config.yaml", "runs/version_1/config.yaml"]
        seeds = [
            yaml.safe_load((tmp_path / c).read_text(encoding="utf-8"))["seed_everything"] for c in configs(tmp_path)
        ]
        assert seeds == [3, 4]

    @pytest.mark.parametrize("command", ["test", "validate"])
    def test_other_commands_write_nothing(self, command, tmp_path, cli):
        cli(command)
        assert configs(tmp_path) == []

    def test_test_after_fit_leaves_what_fit_used(self, tmp_path, cli):
        done = cli("fit", "--seed_everything=3")
        before = (tmp_path / "runs/version_0/config.yaml").read_bytes()
        done.trainer.test(done.model, datamodule=done.datamodule, verbose=False)
        cli("test", "--seed_everything=4")
        assert (tmp_path / "runs/version_0/config.yaml").read_bytes() == before
        assert configs(tmp_path) == ["runs/version_0/config.yaml"]

    def test_a_second_fit_without_a_logger_replaces_the_first_ones(self, tmp_path, cli):
        for seed in (3, 4):
            cli("fit", f"--seed_everything={seed}", logger=False)
        assert configs(tmp_path) == ["config.yaml"]
        assert yaml.safe_load((tmp_path / "config.yaml").read_text(encoding="utf-8"))["seed_everything"] == 4

    def test_what_is_written_can_be_run_again(self, tmp_path, cli):
        cli("fit", "--trainer.max_epochs=2")
        again = cli("fit", "--config=runs/version_0/config.yaml")
        assert again.trainer.max_epochs == 2
        assert again.model.weight.item() == 2.0

    def test_a_fast_dev_run_writes_nothing(self, tmp_path, cli):
        cli("fit", "--trainer.fast_dev_run=true")
        assert configs(tmp_path) == []
