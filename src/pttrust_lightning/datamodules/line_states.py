"""What every DataModule of line states shares: the LLM that they come from."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import LightningDataModule

from pttrust_lightning.states.config import LineStateConfig
from pttrust_lightning.states.language_model import load_config, provenance
from pttrust_lightning.states.layers import state_layers


class LineStatesDataModule(LightningDataModule):
    """Base of the DataModules.

    Args:
        states: Which LLM, layers and line rule.
    """

    def __init__(self, states: LineStateConfig) -> None:
        super().__init__()
        self.states = states

    @property
    def d_in(self) -> int:
        """Width of a state, from the LLM's configuration: known before any state is read."""
        llm = load_config(self.states)
        return int(llm.hidden_size) * len(state_layers(self.states.layer, llm.num_hidden_layers))

    @property
    def state_provenance(self) -> dict[str, Any]:
        """What the states come from; exported models keep it, and refuse states of another provenance."""
        return provenance(self.states)._asdict()

    @property
    def feature_widths(self) -> dict[str, int]:
        """Columns of what is known of a line beside its state, by name; nothing, where there are no labels."""
        return {}

    def test_dataloader(self) -> Any:
        """The held-out programs again, where there are no labels to be tested on."""
        return self.val_dataloader()

    def predict_dataloader(self) -> Any:
        """The held-out programs again, where there are no labels."""
        return self.val_dataloader()
