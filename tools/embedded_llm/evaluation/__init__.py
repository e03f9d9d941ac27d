"""What the LLM is worth: held-out bits per byte, and whether it and its states find wrong lines."""
