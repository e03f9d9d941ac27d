"""Pure functions: reconstruction, contrastive, ranking."""
