"""Write torsionbert_tokens.json and torsionbert_outputs.json with the `transformers` library, an independent program.

Run from the root: python tests/stage_b_torsion/make_torsionbert_golden.py (needs `pip install transformers`).
The tokens are those of its BertTokenizer on DNABERT's vocabulary; the outputs those of its BertModel and a regression
head, both filled with the tensors of `test_torsionbert.tiny_tensors`.
"""

import json
import runpy
import tempfile
from pathlib import Path

import torch
import transformers
from torch import nn

HERE = Path(__file__).parent


def main() -> None:
    test = runpy.run_path(str(HERE / "test_torsionbert.py"))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "vocab.txt").write_text("\n".join(test["WORDS"]) + "\n")
        tokenizer = transformers.BertTokenizer(str(Path(folder) / "vocab.txt"), do_lower_case=False)
        tokens = {sequence: tokenizer(words(sequence))["input_ids"] for sequence in test["SEQUENCES"]}
    made_by = f"transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}"
    write("torsionbert_tokens.json", {"made_by": f"BertTokenizer of {made_by}", "tokens": tokens})
    outputs = {
        sequence: theirs(test["tiny_tensors"](18), ids, 18)[0].double().numpy().round(7).tolist()
        for sequence, ids in tokens.items()
        if len(ids) < 20
    }
    write("torsionbert_outputs.json", {"made_by": f"BertModel of {made_by}", "outputs": outputs})


def words(sequence: str) -> str:
    """3-mers of DNA with blanks between, as TorsionBERT's own helper writes them."""
    letters = sequence.upper().replace("U", "T")
    return " ".join(letters[i : i + 3] for i in range(len(letters)) if len(letters[i : i + 3]) == 3)


@torch.no_grad()
def theirs(tensors: dict[str, torch.Tensor], ids: list[int], outputs: int) -> torch.Tensor:
    """What the library makes of the tokens, [1, N, outputs]."""
    config = transformers.BertConfig(
        vocab_size=69,
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=96,
        hidden_act="gelu",
        layer_norm_eps=1e-12,
        max_position_embeddings=512,
    )
    bert = transformers.BertModel(config, add_pooling_layer=False).eval()
    own = {key.removeprefix("dnabert."): tensor for key, tensor in tensors.items() if key.startswith("dnabert.")}
    missing, unexpected = bert.load_state_dict(own, strict=False)
    assert not [key for key in missing if "position_ids" not in key], missing
    assert all(key.startswith("pooler.") or "position_ids" in key for key in unexpected), unexpected
    regressor = nn.Sequential(nn.LayerNorm(128), nn.Linear(128, 48), nn.GELU(), nn.Linear(48, outputs))
    regressor.load_state_dict(
        {key.removeprefix("regressor."): tensor for key, tensor in tensors.items() if key.startswith("regressor.")}
    )
    return torch.tanh(regressor(bert(torch.tensor([ids])).last_hidden_state))


def write(name: str, content: dict) -> None:
    (HERE / name).write_text(json.dumps(content, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
