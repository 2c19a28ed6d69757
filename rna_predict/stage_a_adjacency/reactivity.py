"""What chemical probing says of an RNA's pairs.

Deigan et al. 2009, Accurate SHAPE-directed RNA structure determination, PNAS 106:97: a residue of reactivity r that is
stacked in a helix adds m · ln(1 + r) + b kcal/mol for each of the two stacks that it takes part in.
"""

from rna_predict.contracts.reactivity import Reactivity
from rna_predict.stage_a_adjacency.evidence import Evidence


def reactivity_evidence(reactivity: Reactivity) -> Evidence:
    """Reactivities as evidence; the backend turns them into energies."""
    return Evidence(name="reactivity", digest=reactivity.digest(), reactivity_L=reactivity.value_L)
