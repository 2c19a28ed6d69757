"""Stage D: an ensemble of ranked models from a sampler over coordinates."""
