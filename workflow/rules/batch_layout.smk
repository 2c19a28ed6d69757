# Which RNAs go into one job where the config has `batches`, and what such a job needs.
import zlib
from functools import cache
from types import SimpleNamespace

STORE = f"{RESULTS}/store"
BATCH_RETRIES = 2  # a job that runs out of memory or time is tried again; the store has what it did
# On a cluster only the submit host retries: Snakemake on the node would do so in the same job, with the same memory.
RETRIES_HERE = BATCH_RETRIES if workflow.is_main_process else 0
MOST_MB = 256000
MOST_MINUTES = 7 * 24 * 60


def batch_of_row(row):
    """The batch of an RNA: with those of about its length, so that one long RNA does not make all of them ask for its
    memory, by a hash of its id. It depends on nothing but the RNA's own line and the number of batches."""
    longest = max(64, 1 << (len(row["sequence"]) - 1).bit_length())
    number, parts = zlib.crc32(row["id"].encode()), config["batches"]
    return f"to{longest}nt_{number % parts + 1}of{parts}"


@cache
def batches():
    """Ids of each batch, in the order of the sheet."""
    found = {}
    for name, row in SAMPLES.items():
        found.setdefault(batch_of_row(row), []).append(name)
    return found


@cache
def named_ids():
    """The ids that the command line asks for by a file of theirs: each of them is a batch of its own."""
    named = set()
    for target in workflow.dag_settings.targets or ():
        path = Path(target)
        named.update(part for part in (*path.parts[:-1], path.stem) if part in SAMPLES)
    return named


def members(batch):
    """The ids of a batch."""
    if batch.startswith("only_"):
        name = batch.removeprefix("only_")
        return [row_of(SimpleNamespace(id=name))["id"]]
    if batch not in batches():
        raise WorkflowError(f"{batch}: no such batch. The config has batches: {config['batches']}.")
    return batches()[batch]


def ids_of_batch(wildcards):
    """Its ids, as arguments."""
    return members(wildcards.batch)


@cache
def digest_of_rows(batch):
    """sha256 of the lines of its RNAs: an edited line reruns its own batch."""
    rows = [SAMPLES[name] for name in members(batch)]
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()


def rows_of_batch(wildcards):
    """The param by which a batch knows that its part of the sheet has changed."""
    return digest_of_rows(wildcards.batch)


def files_of_batch(file_of):
    """Input function: what an input function of single RNAs gives, of all RNAs of a batch."""

    def files(wildcards):
        found = [file_of(SimpleNamespace(id=name)) for name in members(wildcards.batch)]
        return [file for file in found if file]

    return files


def options_of_batch(option, file_of):
    """`--<option>=<id>=<file>` of each RNA that has such a file."""

    def options(wildcards):
        named = {name: file_of(SimpleNamespace(id=name)) for name in members(wildcards.batch)}
        return [f"--{option}={name}={file}" for name, file in named.items() if file]

    return options


def options_of_owners(option, file_of):
    """`--<option>=<id>` of each RNA that has such a file."""

    def options(wildcards):
        return [f"--{option}={name}" for name in members(wildcards.batch) if file_of(SimpleNamespace(id=name))]

    return options


def status_before_stage_b(wildcards):
    """The status of templates, or that of the search for homologs where the config names a database."""
    return f"{RESULTS}/batches/{wildcards.batch}/{'msa' if 'msa' in config else 'templates'}.json"


def runtime_of_searches(wildcards, attempt):
    """Minutes for the searches of a batch: those of one RNA, 10 for each further one, more with each attempt."""
    return int(min(MOST_MINUTES, (710 + 10 * len(members(wildcards.batch))) * attempt))


def status_of(stage):
    """Input function: what became of an RNA's batch at a stage."""

    def status(wildcards):
        row = row_of(wildcards)
        batch = f"only_{row['id']}" if row["id"] in named_ids() else batch_of_row(row)
        return f"{RESULTS}/batches/{batch}/{stage}.json"

    return status


def memory_of_batch(stage):
    """Resource function for mem_mb: that of the longest member, more with each attempt."""

    def mem_mb(wildcards, attempt):
        longest = max(len(SAMPLES[name]["sequence"]) for name in members(wildcards.batch))
        return int(min(MOST_MB, megabytes(stage, longest) * attempt))

    return mem_mb


def runtime_of_batch(stage):
    """Resource function for runtime in minutes: one start and the sum over the members, more with each attempt."""

    def runtime(wildcards, attempt):
        taken = sum(minutes(stage, len(SAMPLES[name]["sequence"])) for name in members(wildcards.batch))
        return int(min(MOST_MINUTES, (RUNTIME_MIN[stage][0] + taken) * attempt))

    return runtime


def attempts_left(wildcards, attempt):
    """How often the job is tried again after this attempt."""
    return max(0, BATCH_RETRIES + 1 - attempt)


def forget_failures():
    """Remove the status of batches in which an RNA failed, so that the next run tries it again; the store has the
    others."""
    for path in Path(RESULTS, "batches").glob("*/*.json"):
        if any(row["status"] != "done" for row in json.loads(path.read_text()).values()):
            path.unlink()


AFTER_FAILURE.append(forget_failures)
