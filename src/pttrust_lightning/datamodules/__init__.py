"""LightningDataModules: unlabelled states (fills and reads the cache), labelled lines."""

from pttrust_lightning.datamodules.labelled import LabelledLines
from pttrust_lightning.datamodules.unlabelled import UnlabelledStates

__all__ = ["LabelledLines", "UnlabelledStates"]
