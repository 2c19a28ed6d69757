"""Minimise a model in an all-atom force field (OpenMM, AMBER RNA OL3), and keep the result only if it is no worse."""
