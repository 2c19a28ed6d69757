# Table of contents: one RNA goes through stages A, B, C, D; each stage is a job that reads and writes files.
# What runs: config/config.yaml and its sample sheet. How it runs: the Hydra groups beside it (config/README.md).
from snakemake.utils import min_version

min_version("9.20")


configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/settings.smk"
include: "workflow/rules/inputs.smk"
include: "workflow/rules/families.smk"
include: "workflow/rules/msa.smk"
include: "workflow/rules/stages.smk"
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
        of_every_rna(rules.export_prediction.output),
        relaxed_of_config,
        tracked_of_config,
