"""Network blocks under the paper's names, with the state-dict keys of Protenix v1.

Source of the architecture: Abramson et al. 2024 (AlphaFold 3), supplementary algorithms 1-31. Where Protenix departs
from the paper, its weights decide and the block's docstring says so. Shape letters: b batch, l residues (tokens),
a atoms, m alignment rows, c channels, h heads, s samples, w windows of atoms, q and k queries and keys of a window.
"""
