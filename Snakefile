# Table of contents: one RNA goes through stages A, B, C, D; each stage is a job that reads and writes files.
# What runs: config/config.yaml and its sample sheet. How it runs: the Hydra groups beside it (config/README.md).
from snakemake.utils import min_version

min_version("9.20")


configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/settings.smk"
include: "workflow/rules/inputs.smk"
include: "workflow/rules/families.smk"
include: "workflow/rules/stage_a.smk"
include: "workflow/rules/templates.smk"
include: "workflow/rules/stage_b.smk"
include: "workflow/rules/stage_c.smk"
include: "workflow/rules/stage_d.smk"
include: "workflow/rules/relax.smk"
include: "workflow/rules/draw.smk"
include: "workflow/rules/dataset.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/tracking.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/submission.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        expand(rules.export_prediction.output, id=SAMPLES),
        relaxed_of_config,
        tracked_of_config,
