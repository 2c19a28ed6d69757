"""Weights that the package carries; beside each a card that says what it is."""
