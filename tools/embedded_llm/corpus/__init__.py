"""The corpus of the embedded code LLM: downloaded, selected, deduplicated, kept apart from benchmarks."""
