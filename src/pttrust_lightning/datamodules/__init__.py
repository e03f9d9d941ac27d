"""LightningDataModules: unlabelled states (from a cache that they fill, or streamed), labelled lines."""

from pttrust_lightning.datamodules.labelled import LabelledLines
from pttrust_lightning.datamodules.streamed import StreamedStates
from pttrust_lightning.datamodules.unlabelled import UnlabelledStates

__all__ = ["LabelledLines", "StreamedStates", "UnlabelledStates"]
