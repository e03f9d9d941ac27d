"""LightningDataModules: unlabelled states (fills and reads the cache), labelled lines."""
