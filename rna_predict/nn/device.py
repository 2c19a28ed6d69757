"""Where a network runs, and in which precision."""

import torch

from rna_predict.errors import ConfigError

PRECISIONS = ("auto", "float32", "bfloat16")
"""What a stage's `precision` may be."""


def choose_device(name: str, where: str) -> torch.device:
    """The device of a setting: `auto` takes the first CUDA device where there is one, else the CPU.

    Args:
        name: `auto`, or what torch calls a device: `cpu`, `cuda`, `cuda:1`, `mps`.
        where: the setting for the message, e.g. `stage_b.device`.

    Raises:
        ConfigError: no such device, or this machine or this build of torch lacks it.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise ConfigError(f"{where}: {name!r} cannot be used ({reason}). Use auto or cpu.") from error
    if device.type == "meta":
        raise ConfigError(f"{where}: {name!r} holds no numbers. Use auto or cpu.")
    return device


def bfloat16_is_native(device: torch.device) -> bool:
    """Whether the hardware itself multiplies bfloat16; elsewhere it is emulated and slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        found = torch.cpu.get_capabilities()
        return any(bool(found.get(name)) for name in ("avx512_bf16", "amx_bf16", "bf16"))  # x86, x86, Arm
    return False


def choose_dtype(precision: str, device: torch.device) -> torch.dtype:
    """The type of matrix products: `auto` is bfloat16 where the hardware has it natively, else float32.

    Raises:
        ConfigError: not one of `PRECISIONS`.
    """
    if precision not in PRECISIONS:
        raise ConfigError(f"precision: {precision!r} is unknown. Use one of: {', '.join(PRECISIONS)}.")
    if precision == "auto":
        return torch.bfloat16 if bfloat16_is_native(device) else torch.float32
    return torch.bfloat16 if precision == "bfloat16" else torch.float32
