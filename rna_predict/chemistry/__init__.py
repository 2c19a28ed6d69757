"""What RNA is made of: residues, atoms, bonds, torsions, ideal values with their sources. Pure tables."""
