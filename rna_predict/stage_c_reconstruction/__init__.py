"""Stage C: all heavy atoms from pairs and torsions, by assembly or by NeRF."""
