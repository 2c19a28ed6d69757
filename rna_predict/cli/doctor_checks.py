"""What `rna-predict doctor` looks at, a row each: the machine, packages, programs, carried files, the folder."""

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from rna_predict import __version__
from rna_predict.errors import InputError, RnaPredictError

PACKAGE = "rna-predict"
OPTIONAL = {
    "train": "training (`rna-predict train`)",
    "relax": "relaxing models in a force field (`rna-predict relax`)",
}
"""What each extra is for; the extra `test` is the tests' own."""

PROGRAMS = {
    "sbatch": "running on a Slurm cluster (`--profile slurm`): run there, where Slurm is installed",
    "nvidia-smi": "an NVIDIA GPU, on which the networks run quicker: the driver comes with the machine",
    "conda": "`snakemake --sdm conda`, one environment a rule: install Miniforge",
    "apptainer": "the container of envs/rna-predict.def: install apptainer",
}
MEMORY_GB = 2.0
"""What the default path takes at 1,000 nt, with Snakemake beside it."""

DISK_GB = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One row.

    Attributes:
        part: what was looked at.
        state: `ok`, `missing` (a part that this use can do without) or `fault` (nothing works until it is mended).
        found: what is there.
        remedy: what to do, where it is not ok.
    """

    part: str
    state: str
    found: str
    remedy: str = ""


def all_checks(folder: Path) -> Iterator[Check]:
    """Every check; `folder` is where results would be written."""
    yield from machine()
    yield from packages()
    yield from programs()
    yield from carried()
    yield from writable(folder)


def machine() -> Iterator[Check]:
    """Version, interpreter, cores, memory and devices."""
    yield Check(part="rna_predict", state="ok", found=__version__)
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    new = sys.version_info >= (3, 11)
    yield Check(
        part="python", state="ok" if new else "fault", found=found, remedy="" if new else "Install Python 3.11."
    )
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = os.environ.get("OMP_NUM_THREADS", "not set; commands take --threads, 1 by default")
    yield Check(part="cores", state="ok", found=f"{cores}; OMP_NUM_THREADS {threads}")
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    enough = pages >= MEMORY_GB
    yield Check(
        part="memory",
        state="ok" if enough else "missing",
        found=f"{pages:.1f} GB",
        remedy="" if enough else f"{MEMORY_GB:g} GB are safe up to 1,000 nt; keep to short RNAs.",
    )
    yield _device()


def _device() -> Check:
    try:
        import torch
    except (ImportError, OSError) as error:
        return Check(part="device", state="fault", found=f"torch: {error}", remedy="pip install torch")
    if torch.cuda.is_available():
        return Check(part="device", state="ok", found=f"GPU {torch.cuda.get_device_name(0)}, {torch.__version__}")
    return Check(part="device", state="ok", found=f"CPU; torch {torch.__version__} finds no GPU")


def packages() -> Iterator[Check]:
    """What the package needs, by its own metadata, and what its extras would add."""
    try:
        wanted = [Requirement(line) for line in metadata.requires(PACKAGE) or []]
    except metadata.PackageNotFoundError:
        yield Check(part=PACKAGE, state="fault", found="not installed", remedy="pip install -e . in the checkout")
        return
    for requirement in wanted:
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield _package(requirement, "fault", f"pip install '{requirement.name}{requirement.specifier}'")
    for extra, purpose in OPTIONAL.items():
        for requirement in wanted:
            if requirement.marker is not None and requirement.marker.evaluate({"extra": extra}):
                yield _package(requirement, "missing", f"Only for {purpose}: pip install '{PACKAGE}[{extra}]'")


def _package(requirement: Requirement, state: str, remedy: str) -> Check:
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return Check(part=requirement.name, state=state, found="not installed", remedy=remedy)
    if version not in requirement.specifier:
        found = f"{version}, needs {requirement.specifier}"
        return Check(part=requirement.name, state=state, found=found, remedy=remedy)
    return Check(part=requirement.name, state="ok", found=version)


def programs() -> Iterator[Check]:
    """Programs beside Python, each of which some uses want."""
    for name, purpose in PROGRAMS.items():
        path = shutil.which(name)
        if path:
            yield Check(part=name, state="ok", found=path)
        else:
            yield Check(part=name, state="missing", found="not on the PATH", remedy=f"Only for {purpose}.")


def carried() -> Iterator[Check]:
    """The weights and libraries that the package carries, each read and compared with its digest."""
    for part, read in CARRIED.items():
        try:
            yield Check(part=part, state="ok", found=read())
        except (RnaPredictError, OSError) as error:
            again = "Install the package again."
            yield Check(part=part, state="fault", found=" ".join(str(error).split()), remedy=again)


def _weights(name: str) -> Callable[[], str]:
    def read() -> str:
        from rna_predict.nn.carried import carried_weights
        from rna_predict.nn.weights_file import read_header, verify

        path = carried_weights(name)
        header = read_header(path)
        verify(path, header)
        return f"{header.parameters} parameters, sha256 {header.sha256[:12]}"

    return read


def _families() -> str:
    from rna_predict.families.library import load_library

    return f"{len(load_library().families)} families"


def _templates() -> str:
    from rna_predict.templates.library import chain_positions, open_library

    rows = open_library().rows
    chains = len(chain_positions(rows))
    return f"{chains} structures, {len(rows) - chains} loops"


def _prior_table() -> str:
    from rna_predict.stage_b_torsion.prior_table import load_table

    return f"sha256 {load_table()[1][:12]}"


CARRIED: dict[str, Callable[[], str]] = {
    "weights of stage A": _weights("folding_small"),
    "weights of stage B": _weights("geometry_small"),
    "prior table of stage B": _prior_table,
    "weights of stage D": _weights("quality_small"),
    "families": _families,
    "templates": _templates,
}


def writable(folder: Path) -> Iterator[Check]:
    """The results' folder, its free space and its locks, and the temporary folder."""
    from rna_predict.cli.output_folder import held_folder

    place = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    try:
        with tempfile.TemporaryFile(dir=place), held_folder(place):
            pass
        yield Check(part="results", state="ok", found=f"{place} can be written to")
    except InputError as error:
        yield Check(part="results", state="missing", found=str(error), remedy="Wait for the other run.")
    except OSError as error:
        remedy = "Name another folder with --results, and in config/config.yaml."
        yield Check(part="results", state="fault", found=f"{place}: {error.strerror}", remedy=remedy)
    free = shutil.disk_usage(place).free / 1e9
    enough = free >= DISK_GB
    yield Check(
        part="disk",
        state="ok" if enough else "missing",
        found=f"{free:.1f} GB free",
        remedy="" if enough else f"Make room: {DISK_GB:g} GB is safe for a thousand short RNAs.",
    )
    yield Check(part="temporary folder", state="ok", found=tempfile.gettempdir())
