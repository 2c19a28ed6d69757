# What Kaggle's RNA folding competition takes, which no other rule needs: asked for by name.
rule submission:
    """C1' of the five best models of every RNA of the sheet: snakemake --cores 2 results/submission.csv."""
    input:
        models=of_every_rna(rules.stage_d_diffusion.output.models),
        samples=config["samples"],
    output:
        table=f"{RESULTS}/submission.csv",
    log:
        f"{RESULTS}/logs/submission.log",
    benchmark:
        f"{RESULTS}/benchmarks/submission.tsv"
    conda:
        "../../envs/rna-predict.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
        attempt=attempt_number,
    params:
        root=root_of_models,
        ambiguous=config["ambiguous"],
        version=PACKAGE_VERSION,
    shell:
        "python -m rna_predict submission {params.root:q} --sequences {input.samples:q} --out {output.table:q}"
        " --ambiguous {params.ambiguous} 2>&1"
        " | tee {log:q}.attempt{resources.attempt} > {log:q}"
