# What the config and the Hydra groups say, as arguments for the command line, and as keys that change only where that
# does: a touched file or an edited comment reruns nothing.
from importlib.util import find_spec

from rna_predict.plain_yaml import hydra_quoted

TRAINED = f"{RESULTS}/checkpoints/{{run}}/partial.safetensors"
TRACKED = f"{RESULTS}/tracking.json"
RELAXED = f"{RESULTS}/relaxed/{{id}}"


def named_in_defaults(content, group):
    """What a file's defaults list names, as paths below the config folder: `- default`, `- override /adapters: full`."""
    for entry in content.get("defaults") or [] if isinstance(content, dict) else []:
        names = [entry] if isinstance(entry, str) and entry != "_self_" else []
        for key, chosen in entry.items() if isinstance(entry, dict) else []:
            choices = chosen if isinstance(chosen, list) else [chosen]
            names += [f"{key.split()[-1].partition('@')[0]}/{choice}" for choice in choices if choice is not None]
        for name in names:
            yield os.path.join(os.sep, group, name.partition("@")[0]).lstrip(os.sep)


def composed(names):
    """What these files say, and all that they build on, by path below the config folder. A name without a file, such
    as an interpolation, stands for all files of its group."""
    folder, waiting, found = Path(config["config_dir"]), list(names), {}
    while waiting:
        group, _, choice = waiting.pop().rpartition("/")
        file = folder / group / f"{choice}.yaml"
        for path in [file] if file.is_file() else sorted(file.parent.glob("*.yaml")):
            name = str(path.relative_to(folder))
            if name not in found:
                try:
                    found[name] = yaml.safe_load(path.read_text())
                except (yaml.YAMLError, UnicodeDecodeError) as error:
                    raise WorkflowError(f"{path}: is no YAML ({error}).")
                waiting += named_in_defaults(found[name], group)
    return found


def require_choice(where, group, choice):
    """Stop with the choices of a group where it has no such file."""
    chosen = Path(config["config_dir"]) / group / f"{choice}.yaml"
    if not chosen.is_file():
        found = ", ".join(sorted(file.stem for file in chosen.parent.glob("*.yaml"))) or "none"
        raise WorkflowError(f"{where}: {chosen} does not exist. Choices: {found}.")


def key_of(*parts):
    """sha256 of what decides resolved settings."""
    return hashlib.sha256(json.dumps([*parts, PACKAGE_VERSION], sort_keys=True, default=str).encode()).hexdigest()


def key_of_config(wildcards):
    """The key of a stage's settings: its group file and those below it by content, overrides, networks, version."""
    stage, chosen = wildcards.stage, config[wildcards.stage]
    require_choice(f"{stage}: choice", stage, chosen["choice"])
    composition = composed([f"{stage}/{chosen['choice']}"])
    return key_of(composition, chosen["overrides"], network_of_stage(wildcards), library_of_stage(wildcards))


def settings_of_stage(wildcards):
    """Arguments of `rna-predict config resolve`: stage=choice, and stage.key=value for each override."""
    chosen = config[wildcards.stage]
    overrides = [f"{wildcards.stage}.{override}" for override in chosen["overrides"]]
    return [f"{wildcards.stage}={chosen['choice']}", *library_of_stage(wildcards), *overrides]


def library_of_stage(wildcards):
    """`stage_a.family_library=FILE` where the config names a library or the seeds to make one from, and
    `templates.library=FILE` where it names one of known structures."""
    named = {
        "stage_a": ("family_library", library_of_config(wildcards)),
        "templates": ("library", config["templates"].get("library", "")),
    }
    key, library = named.get(wildcards.stage, ("", ""))
    return [f"{wildcards.stage}.{key}={hydra_quoted(library)}"] if library else []


def network_of_stage(wildcards):
    """`--weights=FILE` or `--untrained=PROFILE` of the config, and `--partial=FILE` of its checkpoints, for the stages
    that run networks."""
    if wildcards.stage not in NETWORK_STAGES:
        return []
    named = [f"--{key}={config[key]}" for key in ("weights", "untrained") if key in config]
    partial = checkpoint_of(wildcards.stage)
    return [*named, f"--partial={partial}"] if partial else named


def weights_of_config(wildcards):
    """The weights file that the config names, or no file: an input, so that other weights rerun what reads them."""
    return config.get("weights", [])


def checkpoint_of(stage):
    """The partial checkpoint that a stage takes up: a file, or what an experiment's training hands on; else no file."""
    chosen = config.get("checkpoints", {})
    named = chosen if isinstance(chosen, str) else chosen.get(stage, "")
    return named if named.endswith(".safetensors") or not named else TRAINED.format(run=named)


def partial_of(stage):
    """Input function: the partial checkpoint of a stage, which is trained first where an experiment is named."""

    def partial(wildcards):
        return checkpoint_of(stage) or []

    return partial


def folder_of_training():
    """The dataset that is trained on."""
    folder = rules.build_dataset.output.dataset if "dataset" in config else config["training"].get("dataset")
    if not folder:
        raise WorkflowError(
            "training: dataset: not set. Name a dataset's folder there, or under `dataset` what to build one from, in "
            "config/config.yaml."
        )
    return folder.rstrip("/")


def dataset_of_training(wildcards):
    """The dataset as an input: the folder that the workflow builds, or of another one the files that say what it is."""
    folder = folder_of_training()
    return folder if "dataset" in config else [f"{folder}/dataset.json", f"{folder}/splits.tsv"]


def settings_of_training(wildcards):
    """Arguments of `rna-predict config experiment`: what the config names, then the overrides."""
    folder = folder_of_training()
    given = {"data.dataset": folder, "data.store": f"{folder}.stages"}
    if "weights" in config or "untrained" in config:  # both, so that the experiment's own source is none beside it
        given |= {"network.weights": config.get("weights", "")}
        given |= {"network.untrained_profile": config.get("untrained", "")}
    if "tracking" in config:
        given |= {"trainer.tracking": config["tracking"]}
    return [*(f"{key}={hydra_quoted(value)}" for key, value in given.items()), *config["training"]["overrides"]]


def key_of_training(wildcards):
    """The key of a run's settings: the experiment and all files below it by content, what is handed over, version."""
    require_choice(f"run {wildcards.run}", "experiment", wildcards.run)
    changed = [override.partition("=")[::2] for override in config["training"]["overrides"]]
    choices = [f"{group}/{choice}" for group, choice in changed if "." not in group]
    return key_of(composed([f"experiment/{wildcards.run}", *choices]), settings_of_training(wildcards))


def folder_of_tracking(wildcards):
    """The folder of the database that runs and predictions are tracked in."""
    if "tracking" not in config:
        raise WorkflowError("tracking: not set. Name the folder of the database in config/config.yaml.")
    return config["tracking"]


def tracked_of_config(wildcards):
    """What `all` asks for besides the predictions: their record, where the config names a database."""
    return TRACKED if "tracking" in config else []


def relaxed_of_config(wildcards):
    """What `all` asks for besides the predictions: these relaxed, where `relax` is on, or auto and OpenMM is there.
    YAML reads a bare on or off as true or false."""
    chosen = config["relax"]
    wanted = find_spec("openmm") is not None if chosen == "auto" else chosen in ("on", True)
    return expand(f"{RELAXED}.pdb", id=SAMPLES) if wanted else []


def check_training():
    """Stop where keys of the config do not go together."""
    if "checkpoints" in config and not ("weights" in config or "untrained" in config):
        raise WorkflowError(
            "checkpoints: set, but not the weights that they were trained on. Set `weights` (or `untrained`) as well."
        )
    if "dataset" in config and "dataset" in config["training"]:
        raise WorkflowError("training: dataset: is for a dataset built elsewhere. Remove it, or remove `dataset`.")


config.setdefault("training", {}).setdefault("overrides", [])
check_training()
