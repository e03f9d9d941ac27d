"""Lightning callbacks: export, predictions, config saving."""
