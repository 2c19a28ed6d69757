"""Files that users give and get: sequences, structures, secondary structures, models."""
