"""The shipped variants of stage D's settings say what their names say."""

import pytest

from rna_predict.config import resolve_stage_config
from rna_predict.errors import ConfigError
from rna_predict.stage_d_diffusion.config import StageDConfig
from rna_predict.stage_d_diffusion.diffusion_backend import af3_settings
from rna_predict.stage_d_diffusion.sampler import Af3Settings


@pytest.mark.parametrize("profile", ["nano", "small"])
def test_untrained_variants_change_nothing_but_the_networks(root, profile):
    found = resolve_stage_config("stage_d", root / "config", choice=f"untrained_{profile}")
    assert found == StageDConfig(backend="diffusion", untrained_profile=profile)


def test_public_weights_are_sampled_as_they_were_published(root):
    found = resolve_stage_config("stage_d", root / "config", ["weights=x.safetensors"], "public_200")
    assert isinstance(found, StageDConfig)
    assert (found.start, found.guidance, found.refine) == ("noise", False, True)
    assert af3_settings(found) == Af3Settings()  # 200 steps, γ0 0.8, λ 1.003, η 1.5


def test_few_steps_are_plain_euler_steps_over_the_same_levels(root):
    found = resolve_stage_config("stage_d", root / "config", ["weights=x.safetensors"], "few_steps")
    assert isinstance(found, StageDConfig)
    assert (found.start, found.guidance) == ("noise", True)
    assert af3_settings(found) == Af3Settings(steps=20, churn=0.0, step_scale=1.0)


@pytest.mark.parametrize("choice", ["public_200", "few_steps"])
def test_variants_for_weights_ask_for_them(root, choice):
    with pytest.raises(ConfigError, match=r"diffusion needs either stage_d\.weights"):
        resolve_stage_config("stage_d", root / "config", choice=choice)


def test_every_number_of_the_sampler_can_be_set():
    config = StageDConfig(
        diffusion_steps=7,
        noise_max=99.0,
        noise_min=1e-3,
        rho=5.0,
        diffusion_churn=0.3,
        churn_above=2.0,
        noise_scale=1.1,
        step_scale=1.2,
    )
    expected = Af3Settings(
        steps=7, s_max=99.0, s_min=1e-3, rho=5.0, churn=0.3, churn_above=2.0, noise_scale=1.1, step_scale=1.2
    )
    assert af3_settings(config) == expected
