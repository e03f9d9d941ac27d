"""Programs as text: read corpora, split lines, mutate, label, align. No torch."""
