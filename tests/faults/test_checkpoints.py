"""Faults 23 and 24: weights and checkpoints that are damaged, foreign, or hold code. 25 and 26: tests/training."""

import pickle

import numpy as np
import pytest


class Opens:
    """Pickled, it makes a file when it is read back."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


@pytest.fixture
def weights(run, tmp_path):
    """Weights of the smallest networks, in our format."""
    path = tmp_path / "nano.safetensors"
    assert run("weights", "untrained", "nano", "--out", path).code == 0
    return path


DAMAGE = {
    "truncated": (lambda content: content[:-1000], "not a readable safetensors file"),
    "empty": (lambda content: b"", "empty"),
    "text": (lambda content: b"<html>404 not found</html>\n", ""),
    "one byte flipped": (lambda content: content[:-5] + bytes([content[-5] ^ 1]) + content[-4:], "sha256"),
}


@pytest.mark.parametrize("name", [*DAMAGE, "another architecture"])
def test_fault_23_damaged_weights(run, fasta, tmp_path, weights, name):
    """Refused by name before any RNA is computed."""
    path = tmp_path / "w.safetensors"
    if name == "another architecture":
        from safetensors.numpy import save_file

        save_file({"encoder.weight": np.ones((3, 3), np.float32)}, path)
        said = "w.safetensors"
    else:
        change, said = DAMAGE[name]
        path.write_bytes(change(weights.read_bytes()))
    result = run("predict", fasta, "--out", tmp_path / "out", "--weights", path)
    assert result.code in (1, 2)
    assert str(path) in result.err
    assert said in result.err
    assert not list((tmp_path / "out").glob("hairpin.*"))


@pytest.mark.parametrize("ending", ["pt", "ckpt", "safetensors", "npy"])
def test_fault_24_code_in_a_checkpoint(run, fasta, tmp_path, ending):
    """Whatever reads the file, nothing in it runs."""
    import torch

    planted, path = tmp_path / "P", tmp_path / f"evil.{ending}"
    if ending == "npy":
        np.save(path, np.array([Opens(planted)], dtype=object), allow_pickle=True)
        commands = [("predict", fasta, "--out", tmp_path / "out", "--ss", path)]
    else:
        bare = pickle.dumps(Opens(planted), protocol=2)
        if ending == "pt":
            torch.save({"model": {"x": Opens(planted)}}, path)
        else:
            path.write_bytes(bare)
        commands = [
            ("weights", "inspect", path),
            ("weights", "convert", path, "--out", tmp_path / "out.safetensors"),
            ("predict", fasta, "--out", tmp_path / "out", "--weights", path),
        ]
    for words in commands:
        result = run(*words)
        assert result.code in (1, 2), words
        assert str(path) in result.err
    assert not planted.exists()
    assert not (tmp_path / "out.safetensors").exists()
