"""The exception family. Every message names file or field, the value found, and the remedy."""


class RnaPredictError(Exception):
    """Root of every error that this package raises on purpose; the CLI prints its message and exits 2."""


class InputError(RnaPredictError):
    """The user's input (FASTA, sample sheet, secondary structure, structure file) cannot be used as it is."""


class ConfigError(RnaPredictError):
    """A configuration value is unknown, of the wrong type, or out of range."""


class ContractError(RnaPredictError):
    """A file or object that crosses a stage wall is foreign, damaged, stale, or contradicts itself."""


class WeightsError(RnaPredictError):
    """A weights file is missing, damaged, unsafe, or does not fit the network that it is opened for."""


class PredictionError(RnaPredictError):
    """A stage could not produce a result that passes its own checks."""


class TrainingError(RnaPredictError):
    """A training run cannot go on: its numbers are none, or its state is not to be had."""
