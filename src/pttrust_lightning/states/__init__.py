"""From a frozen LLM to line states: load, batch, run, pool, map lines to tokens."""
