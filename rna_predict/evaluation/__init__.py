"""How good a model is: against its native, and by its own geometry. Needs no torch."""
