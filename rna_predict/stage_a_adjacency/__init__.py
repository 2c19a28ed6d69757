"""Stage A: base pairs of a sequence, predicted or given."""
