"""Fits of logistic curves, what a hit is worth from what its search says of it, and the files that hold them."""

import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np

from rna_predict.errors import ContractError


@dataclass(frozen=True, slots=True, kw_only=True)
class LogisticFit:
    """A fit of a share between 0 and 1: 1 / (1 + exp(-weights · vector)).

    Attributes:
        schema: what its file says that it is.
        terms: names of what a vector holds.
        weights: one a term.
        made_by: command, data and quality of the fit, by name.
    """

    schema: str
    terms: tuple[str, ...]
    weights: tuple[float, ...]
    made_by: dict[str, object]

    def expected(self, vector: np.ndarray) -> float:
        """The share that is expected, in [0, 1]."""
        return float(1.0 / (1.0 + np.exp(-float(np.dot(self.weights, vector)))))

    def text(self) -> str:
        """As JSON."""
        return weights_text(self.schema, self.terms, self.weights, self.made_by)


def weights_text(schema: str, terms: tuple[str, ...], weights: tuple[float, ...], made_by: dict[str, object]) -> str:
    """A fit as JSON."""
    named = dict(zip(terms, weights, strict=True))
    return json.dumps({"schema": schema, "weights": named, "made_by": made_by}, indent=1) + "\n"


def read_weights(
    path: Path | None, carried: str, schema: str, terms: tuple[str, ...], again: str
) -> tuple[tuple[float, ...], dict[str, object]]:
    """Weights of a fit and how it was made, from a file, or from one that the package carries beside this module.

    Raises:
        ContractError: missing, damaged, or of other terms; ends with `again`.
    """
    try:
        if path is None:
            text = resources.files("rna_predict.templates").joinpath(carried).read_text(encoding="utf-8")
        else:
            text = path.read_text(encoding="utf-8")
        stored = json.loads(text)
        if stored["schema"] != schema or tuple(stored["weights"]) != terms:
            raise ContractError(f"{path or carried}: not a {schema} of these terms. {again}")
        return tuple(float(value) for value in stored["weights"].values()), stored["made_by"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ContractError(f"{path or carried}: not readable ({error}). {again}") from error


def read_fit(path: Path | None, carried: str, schema: str, terms: tuple[str, ...], again: str) -> LogisticFit:
    """A fit from a file, or from one that the package carries, as `read_weights`.

    Raises:
        ContractError: missing, damaged, or of other terms; ends with `again`.
    """
    weights, made_by = read_weights(path, carried, schema, terms, again)
    return LogisticFit(schema=schema, terms=terms, weights=weights, made_by=made_by)


def fit(vector_NF: np.ndarray, share_N: np.ndarray, weight_N: np.ndarray, ridge: float = 1e-4) -> tuple[float, ...]:
    """Weights of the logistic curve with the least weighted cross entropy to the shares; Newton's method.

    Args:
        vector_NF: terms of each hit.
        share_N: what it is worth, in [0, 1].
        weight_N: how much each counts.
        ridge: penalty on squared weights (not on that of `one`), relative to the sum of `weight_N`.
    """
    scale_F = np.sqrt((vector_NF**2).mean(axis=0))
    x_NF = vector_NF / scale_F
    penalty_F = np.full(x_NF.shape[1], ridge * weight_N.sum())
    penalty_F[0] = 0.0
    theta_F = np.zeros(x_NF.shape[1])
    for _ in range(50):
        value_N = 1.0 / (1.0 + np.exp(-x_NF @ theta_F))
        slope_F = x_NF.T @ (weight_N * (value_N - share_N)) + penalty_F * theta_F
        bend_FF = (x_NF.T * (weight_N * value_N * (1 - value_N))) @ x_NF + np.diag(penalty_F + 1e-9)
        step_F = np.linalg.solve(bend_FF, slope_F)
        theta_F -= step_F
        if np.abs(step_F).max() < 1e-8:
            break
    return tuple(float(value) for value in theta_F / scale_F)
