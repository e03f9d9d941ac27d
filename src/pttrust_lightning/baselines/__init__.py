"""What the method must beat (METHOD: always in the same table, on the same split)."""
