"""Stage B: torsions with their certainty, and the pair representation that stage D is conditioned on."""
