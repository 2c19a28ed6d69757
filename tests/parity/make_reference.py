"""Write `reference.safetensors`: what Protenix 2.0.0 gives on drawn weights, thinned (`rna_predict.cli.parity_*`).

Needs what `make install-test` installs. Run in the checkout: `python tests/parity/make_reference.py`.
"""

from pathlib import Path

import torch

from rna_predict.cli.parity_inputs import ARCHITECTURES, SEQUENCE, Given, prepared
from rna_predict.cli.parity_peer import CASES, Peer
from rna_predict.cli.parity_protenix import build
from rna_predict.cli.parity_reference import write_reference
from rna_predict.nn.featurise import featurise

REFERENCE = Path(__file__).with_name("reference.safetensors")


@torch.no_grad()
def main() -> None:
    """Run every case at every size, not in place."""
    features = featurise(SEQUENCE, seed=0)
    outputs = {}
    for size, architecture in ARCHITECTURES.items():
        given = Given(architecture, prepared(features))
        peer = Peer(build(architecture), given, in_place=False)
        outputs |= {f"{size}/{case}": run(peer) for case, run in CASES.items()}
    write_reference(REFERENCE, features, outputs)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
