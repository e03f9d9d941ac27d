"""Mutants: programs with an edit whose place is known."""
