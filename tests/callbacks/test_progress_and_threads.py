import re

import pytest
import torch
from lightning.pytorch import Callback

from pttrust_lightning.callbacks import CpuThreads, EpochLog, epoch_log


@pytest.fixture
def lines(monkeypatch):
    """What EpochLog wrote."""
    written = []
    monkeypatch.setattr(epoch_log, "rank_zero_info", written.append)
    return written


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_a_line_an_epoch_with_its_own_figures(lines, trainer, counter, data):
    trainer([EpochLog(["train/weight", "val/score", "val/unknown"])], max_epochs=3).fit(counter, datamodule=data)
    # the weight is logged before its step, the score after it
    shown = ["train/weight 0, val/score -1", "train/weight 1, val/score 0", "train/weight 2, val/score -1"]
    assert [line.split(": ")[1] for line in lines] == shown
    assert [re.sub(r"\d+ s left", "N s left", line.split(": ")[0]) for line in lines] == [
        f"epoch {i}/3, at most N s left" for i in (1, 2, 3)
    ]
    assert "at most 0 s left" in lines[-1]


def test_the_time_left_is_that_of_the_epochs_so_far(lines, monkeypatch, trainer, counter, data):
    clock = iter([100.0, 110.0, 120.0, 130.0])
    monkeypatch.setattr(epoch_log.time, "monotonic", lambda: next(clock))
    callback = EpochLog([])
    run = trainer([callback], max_epochs=4)

    class At:
        max_epochs, callback_metrics = 4, run.callback_metrics
        current_epoch = 0

    callback.on_train_start(At, counter)
    for At.current_epoch in (0, 1, 2):
        callback.on_train_epoch_end(At, counter)
    assert [re.search(r"at most (\d+) s", line).group(1) for line in lines] == ["30", "20", "10"]


def test_no_end_no_estimate(lines, trainer, counter, data):
    trainer([EpochLog(["val/score"])], max_epochs=-1, max_steps=2).fit(counter, datamodule=data)
    assert lines == ["epoch 1: val/score -1", "epoch 2: val/score 0"]


class Threads(Callback):
    def __init__(self):
        self.seen = set()

    def on_train_batch_start(self, trainer, *args):
        self.seen.add(torch.get_num_threads())

    on_test_batch_start = on_train_batch_start


@pytest.mark.parametrize("wanted", [1, 3])
def test_threads_are_set_while_it_runs_and_set_back_after(wanted, two_threads, trainer, counter, data):
    threads = Threads()
    run = trainer([CpuThreads(wanted), threads])
    for go in (run.fit, run.test):
        threads.seen.clear()
        go(counter, datamodule=data)
        assert threads.seen == {wanted}
        assert torch.get_num_threads() == 2


def test_threads_are_set_back_when_the_run_fails(two_threads, trainer, counter, data):
    class Fails(Callback):
        def on_train_batch_start(self, *args):
            raise RuntimeError("in the middle")

    callback = CpuThreads(1)
    with pytest.raises(RuntimeError, match="in the middle"):
        trainer([callback, Fails()]).fit(counter, datamodule=data)
    assert torch.get_num_threads() == 2
    # and again on the next run
    trainer([callback]).fit(counter, datamodule=data)
    assert torch.get_num_threads() == 2
