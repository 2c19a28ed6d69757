"""Named sizes, and a user's own in a file."""

import dataclasses
import subprocess
import sys

import pytest

from rna_predict.errors import ConfigError
from rna_predict.nn.profiles import PROFILES, find_profile


def test_every_profile_stands_under_its_own_name():
    assert list(PROFILES) == ["nano", "small", "tiny", "mini", "base", "v2"]
    assert all(profile.name == name for name, profile in PROFILES.items())


def test_a_file_of_a_folder_is_read_and_sizes_left_out_keep_their_defaults(tmp_path):
    (tmp_path / "mine.yaml").write_text("c_s: 256\ncycles: 3\n")
    assert find_profile("mine", tmp_path) == dataclasses.replace(PROFILES["base"], name="mine", c_s=256, cycles=3)


def test_the_shipped_files_hold_the_profiles(root):
    folder = root / "config" / "profile"
    assert sorted(path.stem for path in folder.iterdir()) == sorted(PROFILES)
    assert {name: find_profile(name, folder) for name in PROFILES} == PROFILES


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("c_x: 3\n", r"mine\.yaml: architecture\.c_x: unknown\. Known: name, c_s"),
        ("c_s: many\n", r"mine\.yaml: architecture\.c_s: expected .*int.*'many'"),
        ("c_s: true\n", r"mine\.yaml: architecture\.c_s: expected .*int.*True"),
        ("c_s: 100\n", r"mine\.yaml: architecture\.pairformer_heads: 16 does not divide c_s 100"),
        ("diffusion_blocks: 0\n", r"mine\.yaml: architecture\.diffusion_blocks: 0 is too small"),
        ("name: other\n", r"mine\.yaml: architecture\.name: found 'other'"),
        ("c_s: 1\nc_s: 2\n", r"mine\.yaml, line 2: key 'c_s' twice"),
        ("- 1\n", r"mine\.yaml: expected keys and values"),
    ],
)
def test_a_wrong_file_is_refused_by_name_and_key(tmp_path, text, named):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ConfigError, match=named):
        find_profile("mine", tmp_path)


@pytest.mark.parametrize("name", ["huge", "../mine", ""])
def test_an_unknown_name_is_refused_and_the_choices_are_listed(tmp_path, name):
    (tmp_path / "mine.yaml").write_text("")
    with pytest.raises(ConfigError, match=r"unknown\. Use one of: nano, small"):
        find_profile(name)
    with pytest.raises(ConfigError, match=r"no such file\. Profiles in this folder: mine"):
        find_profile(name, tmp_path)


def test_profiles_need_no_torch():
    code = "import sys, rna_predict.nn.profiles; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
