"""Training of the embedded LLM: token files, the LightningDataModule and the LightningModule."""
