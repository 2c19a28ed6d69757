"""YAML and overrides become checked settings; what is unknown, unsafe or out of range is refused and named."""

import itertools
import sys
import types
from dataclasses import asdict, dataclass, field

import pytest

from rna_predict import config as configuration
from rna_predict.cli.configuration import default_yaml, profile_yamls, split_settings
from rna_predict.config import (
    read_stage_config,
    read_train_config,
    read_yaml,
    resolve_experiment,
    resolve_stage_config,
    write_stage_config,
)
from rna_predict.errors import ConfigError


@dataclass(kw_only=True)
class Inner:
    width: float = 1e-3
    """A nested value."""


@dataclass(kw_only=True)
class Settings:
    steps: int = 5
    """How many."""
    width: float = 0.5
    """How wide."""
    name: str = "plain"
    """Which one."""
    sizes: list[int] = field(default_factory=lambda: [1, 2])
    """Several."""
    inner: Inner = field(default_factory=Inner)
    """A group."""

    def __post_init__(self) -> None:
        if self.steps < 0:
            raise ConfigError(f"stage_a.steps: {self.steps} is negative")


@pytest.fixture
def stage(monkeypatch):
    """`stage_a` with the settings above."""
    module = types.ModuleType("settings_of_a_test")
    module.Settings = Settings
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(configuration.STAGE_CONFIGS, "stage_a", (module.__name__, "Settings"))
    return "stage_a"


@pytest.mark.parametrize("name", list(configuration.STAGE_CONFIGS))
def test_the_shipped_file_is_the_code_s_defaults_with_their_sentences(root, name):
    cls = configuration.stage_config_class(name)
    assert asdict(resolve_stage_config(name, root / "config")) == asdict(cls())
    assert asdict(resolve_stage_config(name)) == asdict(cls())
    shipped = (root / "config" / name / "default.yaml").read_text()
    assert shipped == default_yaml(name, cls), "run: rna-predict config defaults"


@pytest.mark.parametrize("group", list(configuration.TRAIN_GROUPS))
def test_the_shipped_groups_of_a_training_are_the_code_s_defaults(root, group):
    cls = configuration.train_group_class(group)
    shipped = (root / "config" / group / "default.yaml").read_text()
    assert shipped == default_yaml(f"{group} of a training", cls), "run: rna-predict config defaults"
    composed = asdict(resolve_experiment("default", root / "config", ["network.untrained_profile=nano"]))[group]
    expected = asdict(cls()) | ({"untrained_profile": "nano"} if group == "network" else {})
    assert composed == expected


def test_every_shipped_experiment_resolves_and_reads_back_as_it_was(root, tmp_path):
    names = sorted(path.stem for path in (root / "config" / "experiment").glob("*.yaml"))
    assert {"default", "fine_tune", "small", "one_rna"} <= set(names)
    for name in names:
        found = resolve_experiment(name, root / "config", ["network.untrained_profile=nano"])
        path = tmp_path / f"{name}.yaml"
        assert write_stage_config(found, path)
        assert read_train_config(path) == found
        assert not write_stage_config(found, path), "what stays the same is not touched"


def test_an_experiment_s_own_values_win_over_the_groups_and_the_command_line_over_both(root):
    folder = root / "config"
    assert resolve_experiment("one_rna", folder).optimiser.warmup == 50
    assert resolve_experiment("one_rna", folder, ["optimiser.warmup=7"]).optimiser.warmup == 7
    assert resolve_experiment("small", folder).adapters.groups == ()
    assert resolve_experiment("small", folder, ["adapters=default"]).adapters.groups != ()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainer.stepz=5", r"trainer\.stepz"),
        ("trainer.steps=many", r"trainer\.steps"),
        ("optimiser.learning_rate=nan", "not a finite number"),
        ("optimiser.learning_rate=-1", r"optimiser\.learning_rate: -1\.0 must be positive"),
        ("data.crop=500", r"data\.budget: 192 residues hold no crop of 500"),
        ("network.weights=x.safetensors", "name one, a weights file to adapt or a profile"),
        ("adapters.groups=[everything]", r"adapters\.groups: 'everything' is unknown"),
        ("adapters.groups=[torsionbert]", "torsionbert is no part of trunk and denoiser"),
        ("losses.confidence=0", "confidence_head, but losses.confidence is 0: it would keep its values and count as"),
        ("losses.pairs=0", r"adapters\.full_modules: pair_head, but losses\.pairs is 0"),
        ("validation.every=0", r"trainer\.keep: best needs a validation"),
        ("validation.monitor=beauty", r"validation\.monitor: 'beauty' is unknown"),
        ("trainer._target_=os.system", "underscore"),
    ],
)
def test_a_wrong_value_of_a_training_is_refused_before_anything_starts(root, override, message):
    with pytest.raises(ConfigError, match=message):
        resolve_experiment("small", root / "config", [override])


def test_an_experiment_that_is_not_there_is_named(root):
    with pytest.raises(ConfigError, match=r"nobody\.yaml: no such file\. Choices for experiment: default, fine_tune"):
        resolve_experiment("nobody", root / "config")


def test_the_shipped_profiles_are_the_code_s_with_their_sentences(root):
    shipped = {path.stem: path.read_text() for path in (root / "config" / "profile").iterdir()}
    assert shipped == profile_yamls(), "run: rna-predict config defaults profile"


def test_overrides_reach_plain_and_nested_values(stage):
    settings = resolve_stage_config(stage, overrides=["steps=7", "inner.width=2", "sizes=[3,4]", "name=other"])
    assert settings == Settings(steps=7, inner=Inner(width=2.0), sizes=[3, 4], name="other")


def test_a_variant_builds_on_the_default_of_its_group(stage, tmp_path):
    group = tmp_path / stage
    group.mkdir()
    (group / "default.yaml").write_text("steps: 9\n")
    (group / "wide.yaml").write_text("defaults: [default]\nwidth: 2.5\n")
    assert resolve_stage_config(stage, tmp_path, choice="wide") == Settings(steps=9, width=2.5)
    assert resolve_stage_config(stage, tmp_path) == Settings(steps=9)
    with pytest.raises(ConfigError, match=r"narrow\.yaml: no such file\. Choices for stage_a: default, wide"):
        resolve_stage_config(stage, tmp_path, choice="narrow")


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("stps=3", r"stps.*Known keys: steps, width"),
        ("inner.wdth=3", r"inner\.wdth"),
        ("steps=many", r"steps: .*'many'"),
        ("steps=1.5", r"steps: "),
        ("sizes=[1,x]", r"sizes\[1\]"),
        ("steps=-1", r"steps: -1 is negative"),
        ("width=nan", r"width: nan is not a finite number"),
        ("width=inf", r"width: inf is not a finite number"),
        ("_target_=os.system", r"_target_: keys that begin with an underscore are refused"),
        ("inner._target_=os.system", r"inner\._target_: "),
        ("steps", r"Error parsing override"),
    ],
)
def test_a_wrong_override_is_named(stage, override, named):
    with pytest.raises(ConfigError, match=named):
        resolve_stage_config(stage, overrides=[override])


BOMB = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}]\n" for a, b in itertools.pairwise("abcdefghi"))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("steps: !!python/object/apply:os.system ['touch P']\n", r"line 1: .*python/object"),
        ("steps: !!python/name:os.system\n", r"python/name"),
        (BOMB, r"line 2: alias \*a is refused"),
        ("steps: 1\nsteps: 2\n", r"line 2: key 'steps' twice"),
        ("steps: 'x\n", r"line \d"),
        ("- steps\n", r"expected keys and values, found list"),
        ("stps: 1\n", r"stps"),
        ("_target_: os.system\n", r"_target_"),
        ("width: .nan\n", r"width: nan"),
        ("steps: true\n", r"steps"),
        ("steps: null\n", r"steps"),
    ],
)
def test_a_wrong_or_unsafe_file_is_refused_and_runs_nothing(stage, tmp_path, monkeypatch, text, named):
    monkeypatch.chdir(tmp_path)
    group = tmp_path / stage
    group.mkdir()
    path = group / "default.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=named):
        read_stage_config(stage, path)
    with pytest.raises(ConfigError, match=named):
        resolve_stage_config(stage, tmp_path)
    assert not (tmp_path / "P").exists()


def test_a_resolved_file_reads_back_equal_and_is_left_alone_when_nothing_changes(stage, tmp_path):
    path = tmp_path / "config" / "stage_a.yaml"
    settings = Settings(steps=3, width=1e-7, sizes=[], inner=Inner(width=4.0))
    assert write_stage_config(settings, path)
    before = path.stat().st_mtime_ns
    assert not write_stage_config(settings, path)
    assert path.stat().st_mtime_ns == before
    assert read_stage_config(stage, path) == settings
    assert write_stage_config(Settings(), path)
    assert read_stage_config(stage, path) == Settings() == read_stage_config(stage, None)


def test_a_number_without_a_point_is_a_number(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("a: 1e-3\nb: 1.5E4\nc: 1e\n")
    assert read_yaml(path) == {"a": 1e-3, "b": 1.5e4, "c": "1e"}


def test_settings_of_the_command_line_are_sorted_by_stage():
    choices, overrides = split_settings(["stage_d=fast", "stage_d.seed=7"], ["stage_c", "stage_d"])
    assert choices == {"stage_c": "default", "stage_d": "fast"}
    assert overrides == {"stage_c": [], "stage_d": ["seed=7"]}
    for wrong in ("seed=7", "stage_d.seed", "stage_e.seed=7"):
        with pytest.raises(ConfigError, match=r"expected stage=choice or stage\.key=value"):
            split_settings([wrong], ["stage_d"])
