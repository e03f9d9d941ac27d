"""Plain nn.Modules and their folders: sparse autoencoder, line ranker, calibration."""
