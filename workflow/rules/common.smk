# The sample sheet, and the functions that rules use for params and resources. Light imports only: every job parses
# this file again.
import csv
import fcntl
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator
from rna_predict import __version__ as PACKAGE_VERSION
from rna_predict.nn.architecture import Architecture
from rna_predict.nn.cost import Run, peak_bytes, works
from rna_predict.nn.profiles import find_profile
from safetensors import SafetensorError, safe_open
from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake.utils import validate

STAGES = ("stage_a", "stage_b", "stage_c", "stage_d")
NETWORK_STAGES = ("stage_b", "stage_d")
DATASET_FILES = ("index", "validation_ids", "test_ids")
DATASET_SETTINGS = (
    *("cluster_column", "split_column", "identity", "min_length", "max_length", "min_atoms"),
    *("validation_share", "test_share", "seed", "validation_from", "test_from"),
)


def read_samples(path, schema):
    """Rows of the sample sheet by id; an error names file, line and value."""
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise WorkflowError(f"{path}: cannot read the sample sheet ({error}).")
    numbered = [(n, line) for n, line in enumerate(lines, start=1) if line.strip() and not line.startswith("#")]
    rows = csv.DictReader(
        (line for _, line in numbered), None, "(extra cells)", "", delimiter="\t", quoting=csv.QUOTE_NONE
    )
    samples, line_of = {}, {}
    validator = Draft202012Validator(yaml.safe_load(Path(schema).read_text()))
    for (number, _), row in zip(numbered[1:], rows):
        row = {key: value.strip() if isinstance(value, str) else value for key, value in row.items()}
        for problem in validator.iter_errors(row):
            where = problem.path[0] if problem.path else "columns"
            raise WorkflowError(f"{path}, line {number}: {where}: {problem.message[:300]}")
        first = line_of.setdefault(row["id"].lower(), number)
        if first != number:
            raise WorkflowError(f"{path}: id {row['id']!r} stands in lines {first} and {number}; case is ignored.")
        samples[row["id"]] = row
    if not samples:
        raise WorkflowError(f"{path}: the sample sheet holds no RNA.")
    return samples


def row_of(wildcards):
    """The line of the sample sheet."""
    if wildcards.id not in SAMPLES:
        raise WorkflowError(f"{wildcards.id}: no such id in {config['samples']}.")
    return SAMPLES[wildcards.id]


def sequence_of(wildcards):
    """The letters as they stand in the sheet; as a param, so that an edited line reruns its own RNA only."""
    return row_of(wildcards)["sequence"]


def structure_of(wildcards):
    """The file with the given secondary structure, or no file."""
    return row_of(wildcards).get("structure") or []


def own_msa_of(wildcards):
    """The alignment that the sheet names for the RNA, or no file."""
    return row_of(wildcards).get("msa") or []


def msa_of(wildcards):
    """The alignment of the RNA's homologs: the sheet's, else one that is searched where there is a database, or no file."""
    if "msa" in config and not NETWORK:
        raise WorkflowError("msa: only the networks read an alignment. Set weights or untrained, or remove msa.")
    searched = f"{RESULTS}/msa/{wildcards.id}.a3m" if "msa" in config else []
    return own_msa_of(wildcards) or searched


def database_of_msa(wildcards):
    """The database of sequences that homologs are searched in."""
    if "msa" not in config:
        raise WorkflowError("msa: database: not set. See msa in config/README.md.")
    return config["msa"]["database"]


def options_of_msa(wildcards):
    """Settings of the search as arguments of `rna-predict msa search`."""
    chosen = {name: value for name, value in config.get("msa", {}).items() if name != "database"}
    flags = ["--both-strands"] if chosen.pop("both_strands", False) else []
    return [*(f"--{name.replace('_', '-')}={value}" for name, value in chosen.items()), *flags]


def reactivity_of(wildcards):
    """The file with the RNA's reactivities, or no file."""
    return row_of(wildcards).get("reactivity") or []


def of_every_rna(patterns):
    """Input function: these files of all RNAs. A function, so that only a run that needs them pays for the list: with
    10,000 RNAs it takes seconds, and every job of a cluster reads these files again."""

    def files(wildcards):
        return expand(patterns, id=SAMPLES)

    return files


def root_of_stages(wildcards, output):
    """The folder above the RNA's own: what the stage commands take as --root."""
    return str(Path(output[0]).parents[1])


def folder_of_output(wildcards, output):
    """The folder that the rule writes to."""
    return str(Path(output[0]).parent)


def folder_of_models(wildcards, input):
    """For `export_prediction` the stages' root, for `evaluation` the folder with the predictions."""
    return str(Path(input.models[0]).parent) if "natives" in input.keys() else str(Path(input.models).parents[1])


def root_of_models(wildcards, input):
    """The stages' root, for a rule that takes all of them."""
    return str(Path(input.models[0]).parents[1])


def given_argument(wildcards, input):
    """`--given <id>=<file>` as a list, or nothing."""
    return [f"--given={wildcards.id}={input.given}"] if input.get("given") else []


def msa_argument(wildcards, input):
    """`--msa <id>=<file>` as a list, or nothing."""
    return [f"--msa={wildcards.id}={input.msa}"] if input.get("msa") else []


def reactivity_argument(wildcards, input):
    """`--reactivity <id>=<file>` as a list, or nothing."""
    return [f"--reactivity={wildcards.id}={input.reactivity}"] if input.get("reactivity") else []


def library_of_config(wildcards):
    """The library of families that the config names, or that the workflow makes; no file for the package's own."""
    chosen = config.get("families", {})
    return chosen.get("library", LIBRARY if chosen else [])


def url_of_families(wildcards):
    """Where the seeds of the families come from."""
    if "url" not in config.get("families", {}):
        raise WorkflowError("families: url: not set. See families in config/README.md.")
    return config["families"]["url"]


def release_of_families(wildcards):
    """What results call the release of the families."""
    return config.get("families", {}).get("release", "Rfam")


def natives_folder(wildcards):
    """The folder with experimental structures that the config names."""
    if "natives" not in config:
        raise WorkflowError("natives: not set. Name the folder with native structures in config/config.yaml.")
    return config["natives"]


def dataset_key(name, *, needed=True):
    """A value below `dataset` of the config."""
    if needed and name not in config.get("dataset", {}):
        raise WorkflowError(f"dataset: {name}: not set. See dataset in config/README.md.")
    return config.get("dataset", {}).get(name)


def ids_of_dataset(wildcards):
    """The list of PDB ids to download."""
    return dataset_key("ids")


def store_of_downloads(wildcards, output):
    """The folder beside the list, where downloaded files stay."""
    return output.files.removesuffix(".txt")


def options_of_download(wildcards):
    """Where files come from, as arguments of `rna-predict dataset download`."""
    allow = ["--allow-missing"] if dataset_key("allow_missing", needed=False) else []
    return [f"--base-url={dataset_key('base_url')}", f"--ending={dataset_key('ending')}", *allow]


def files_of_dataset(wildcards):
    """What the dataset is made from: a list of structure files, and tables. A folder's content is a param instead."""
    named = {name: path for name in DATASET_FILES if (path := dataset_key(name, needed=False))}
    structures = structures_of_dataset(wildcards)
    return named if Path(structures).is_dir() else named | {"structures": structures}


def structures_of_dataset(wildcards):
    """The folder or list of structure files that the config names, else the list of those that are downloaded."""
    return dataset_key("structures", needed=not dataset_key("ids", needed=False)) or DOWNLOADED


def listing_of_structures(wildcards):
    """sha256 over the files of a folder with sizes and times, so that a change reruns; nothing where a list is given."""
    folder = structures_of_dataset(wildcards)
    if not Path(folder).is_dir():
        return ""
    found = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    facts = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in found]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def options_of_dataset(wildcards):
    """Tables and settings of the config as arguments of `rna-predict dataset build`."""
    chosen = config.get("dataset", {})
    names = [name for name in (*DATASET_FILES, *DATASET_SETTINGS) if name in chosen]
    return [f"--{name.replace('_', '-')}={chosen[name]}" for name in names]


def memory_of_dataset(wildcards, threads, attempt):
    """MB: each process may hold one ribosome and its pairs."""
    return (2000 + 1000 * threads) * attempt


def gpu_of(section):
    """GPUs that one job asks for, of a stage or of `training`."""
    return config.get(section, {}).get("gpu", 0)


def memory_of_training(wildcards, attempt):
    """MB: generous, as crop, adapters and profile are the experiment's."""
    return 16000 * attempt


def template_library_of_config(wildcards):
    """The library of templates that the config names, of a folder its manifest; no file for the package's own."""
    library = config["templates"].get("library", "")
    if not library:
        return []
    return f"{library.rstrip('/')}/library.json" if Path(library).is_dir() else library


# Memory in MB as base + per_pair * length², about twice what the baseline took at 76 nt (80 to 320) and at 400 nt
# (90, 210, 370, 450 for A to D).
MEMORY_MB = {
    "stage_a": (900, 0.0006),  # the network: 4.2 GB at 3,000 nt
    "templates": (700, 0.0002),
    "stage_b": (500, 0.0015),
    "stage_c": (800, 0.0010),
    "stage_d": (900, 0.0016),
}


def attempt_number(wildcards, attempt):
    """1 for the first try; a resource, as only those know it. Snakemake clears a log before a retry, so each rule also
    writes one under the attempt's number."""
    return attempt


def network_sizes():
    """Architecture of the networks that the config names; None for the baseline. A weights file that does not say what
    it holds (a published checkpoint as it came) counts as base."""
    if "untrained" in config:
        return find_profile(config["untrained"], None)
    if "weights" not in config:
        return None
    try:
        with safe_open(config["weights"], framework="numpy") as file:
            return Architecture.from_dict(json.loads((file.metadata() or {})["rna_predict.weights"])["architecture"])
    except (OSError, SafetensorError, KeyError):
        return Architecture()


def memory_of(stage):
    """Resource function for mem_mb: grows with the square of the length and with each attempt; where networks run,
    with a third to spare over what they are estimated to take."""

    def mem_mb(wildcards, attempt):
        return int(megabytes(stage, len(sequence_of(wildcards))) * attempt)

    return mem_mb


def megabytes(stage, length):
    """What a stage takes for an RNA of this length."""
    base, per_pair = MEMORY_MB[stage]
    mb = base + per_pair * length**2
    if NETWORK and stage in NETWORK_STAGES:
        mb += 1.33e-6 * peak_bytes(NETWORK, stage, Run(length=length, cycles=NETWORK.cycles))
    return mb


# Minutes as base + per_residue * length, generous on purpose.
FLOPS = 5e9  # what a slow core does; a GPU is a hundred times faster, and a generous limit costs nothing
RUNTIME_MIN = {
    "stage_a": (5, 0.02),
    "templates": (5, 0.02),
    "stage_b": (10, 0.05),
    "stage_c": (10, 0.1),
    "stage_d": (15, 0.2),
}


def runtime_of(stage):
    """Resource function for runtime in minutes: grows with the length and with each attempt."""

    def runtime(wildcards, attempt):
        return int((RUNTIME_MIN[stage][0] + minutes(stage, len(sequence_of(wildcards)))) * attempt)

    return runtime


def minutes(stage, length):
    """What a stage takes for an RNA of this length, its start left out."""
    taken = RUNTIME_MIN[stage][1] * length
    if NETWORK and stage in NETWORK_STAGES:
        parts = works(NETWORK, Run(length=length, cycles=NETWORK.cycles))[stage].values()
        taken += sum(part.flops for part in parts) / FLOPS / 60
    return taken


HELD_LOCKS = []  # an open file is what holds the lock: it must outlive the function


def hold_results_folder():
    """Let one run at a time write to the results. The kernel frees this lock when the process dies, however it dies;
    Snakemake's own, which profiles/default turns off, would have to be removed by hand after a kill."""
    folder = Path(RESULTS)
    folder.mkdir(parents=True, exist_ok=True)
    lock = open(folder / ".running", "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise WorkflowError(f"{folder}: another run is writing there. Wait for it, or set another `results` folder.")
    except OSError as error:
        logger.warning(f"{folder}: this file system has no locks ({error.strerror}); run one Snakemake at a time.")
    return lock


validate(config, "../schemas/config.schema.yaml")

NETWORK = network_sizes()
SAMPLES = read_samples(config["samples"], workflow.source_path("../schemas/samples.schema.yaml"))
RESULTS = config["results"].rstrip("/")
DOWNLOADED = f"{RESULTS}/dataset/structures.txt"
LIBRARY = f"{RESULTS}/families/rfam.safetensors"

# Jobs find the interpreter that runs Snakemake without an activated environment; where a conda environment is used,
# it comes first on the PATH again.
os.environ.update(PATH=os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()]))


wildcard_constraints:
    stage="stage_[a-d]|templates",
    run=r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}",
    id=r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}",
    batch=r"to\d+nt_\d+of\d+|only_[A-Za-z0-9][A-Za-z0-9_.-]{0,63}",


# The download stays on the submit host: nodes of a cluster often have no way out.
localrules:
    all,
    download_families,
    download_structures,
    resolve_config,
    resolve_training,
    prepare_input,
    draw_base_pairs,
    export_prediction,
    track_predictions,


onstart:
    HELD_LOCKS.append(hold_results_folder())


PAGE = f"{RESULTS}/report/index.html"


def report_after_failure():
    """Make the page where this run was asked for it and could not get as far: a rule with a missing input never runs."""
    if not {PAGE, "report"} & {str(target) for target in workflow.dag_settings.targets}:
        return
    command = [sys.executable, "-m", "rna_predict", "report", RESULTS, "--samples", config["samples"], "--out", PAGE]
    made = subprocess.run(command, check=False).returncode == 0
    logger.info(f"{PAGE}: {'made of what is there' if made else 'could not be made'}; some RNAs failed.")


# What to call when a run has failed: Snakemake keeps one handler, so that files add to this list. The page comes first,
# as others may remove what it reads.
AFTER_FAILURE = [report_after_failure]


onerror:
    for act in AFTER_FAILURE:
        act()
