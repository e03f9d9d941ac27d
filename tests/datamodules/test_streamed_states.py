from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from pttrust_lightning.datamodules import StreamedStates, UnlabelledStates
from pttrust_lightning.errors import ConfigError
from pttrust_lightning.source.corpora import FolderCorpus
from pttrust_lightning.states.config import LineStateConfig

N_PROGRAMS = 24
SETTINGS = {"val_fraction": 0.25, "programs_per_batch": 4, "window": 8}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    for i in range(N_PROGRAMS):
        body = "".join(f"    total = total + {j} * {i}\n" for j in range(i % 4 + 2))
        (folder / f"f{i:02}.py").write_text(f"def f{i}(total):\n{body}    return total\n")
    return FolderCorpus(str(folder))


@pytest.fixture
def make(corpus, gpt2):
    def make(ranks=None, layer=None, **settings):
        states = LineStateConfig(llm=str(gpt2), layer=layer)
        data = StreamedStates(corpus, states, **{**SETTINGS, **settings})
        if ranks is not None:
            rank, world_size = ranks
            strategy = SimpleNamespace(root_device=torch.device("cpu"))
            data.trainer = SimpleNamespace(global_rank=rank, world_size=world_size, strategy=strategy)
        data.setup("fit")
        return data

    return make


@pytest.fixture(scope="module")
def cached(corpus, gpt2, tmp_path_factory):
    data = UnlabelledStates(corpus, str(tmp_path_factory.mktemp("cache") / "c"), LineStateConfig(llm=str(gpt2)))
    data.prepare_data()
    data.setup("fit")
    return data.cache


def group_of(batch_states, cache):
    """Ids of the cached groups whose first state is among the rows."""
    firsts = {name: cache.groups([i]).states[0] for i, name in enumerate(cache.group_ids)}
    return [name for name, row in firsts.items() if torch.isclose(batch_states, row, rtol=1e-4, atol=1e-5).all(1).any()]


def test_streamed_states_may_be_those_of_several_layers(make):
    wide, *alone = (list(make(layer=layer).val_dataloader()) for layer in ((5, 1), 1, 5))
    for batch, first, second in zip(wide, *alone, strict=True):
        torch.testing.assert_close(batch.states, torch.cat([first.states, second.states], dim=1), rtol=1e-5, atol=1e-5)
        assert {*map(tuple, first.pairs.tolist()), *map(tuple, second.pairs.tolist())} == {
            *map(tuple, batch.pairs.tolist())
        }


def test_streamed_states_and_pairs_are_the_cached_ones(make, cached):
    held_out = list(make().val_dataloader())
    names = sorted({name for batch in held_out for name in group_of(batch.states, cached)})
    expected = cached.groups([cached.group_ids.index(name) for name in names])
    torch.testing.assert_close(torch.cat([b.states for b in held_out]), expected.states, rtol=1e-5, atol=1e-5)
    first, pairs = 0, []
    for batch in held_out:
        pairs.append(batch.pairs + first)
        first += len(batch.states)
    assert torch.equal(torch.cat(pairs), expected.pairs)


def test_an_epoch_reads_every_training_program_once_and_no_held_out_one(make, cached):
    data = make()
    batches = list(data.train_dataloader())
    trained = [name for batch in batches for name in group_of(batch.states, cached)]
    held_out = [name for batch in data.val_dataloader() for name in group_of(batch.states, cached)]
    assert len(trained) == len(set(trained))
    assert sorted(trained + held_out) == cached.group_ids
    assert 0 < len(held_out) < len(trained)


def test_the_order_is_the_seeds_and_another_one_each_epoch(make):
    data = make()
    torch.manual_seed(1)
    first, second = ([b.states for b in data.train_dataloader()] for _ in range(2))
    torch.manual_seed(1)
    again = [b.states for b in data.train_dataloader()]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert any(a.shape != b.shape or not torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_ranks_share_the_programs_and_step_together(make, cached):
    parts = [list(make(ranks=(rank, 2), programs_per_batch=2).train_dataloader()) for rank in range(2)]
    assert len(parts[0]) == len(parts[1])
    names = [{name for batch in part for name in group_of(batch.states, cached)} for part in parts]
    assert names[0] and names[1]
    assert not names[0] & names[1]


def test_held_out_programs_are_bounded(make, cached):
    held_out = list(make(val_programs=2).val_dataloader())
    assert len([name for batch in held_out for name in group_of(batch.states, cached)]) == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"val_fraction": 0.0}, "val_fraction is 0.0"),
        ({"val_fraction": 1.0}, "val_fraction is 1.0"),
        ({"window": 2}, "window is 2"),
        ({"programs_per_batch": 0}, "programs_per_batch is 0"),
        ({"val_programs": 0}, "val_programs is 0"),
        ({"val_fraction": 1e-9}, "0 programs are held out"),
    ],
)
def test_settings_that_leave_nothing_are_refused(make, settings, message):
    with pytest.raises(ConfigError, match=message):
        make(**settings)
