rule evaluation:
    """Score results/preds against the natives of the config. Asked for by name: snakemake --cores 2 evaluation."""
    input:
        models=of_every_rna(rules.export_prediction.output.pdb),
        natives=natives_folder,
        samples=config["samples"],
    output:
        table=f"{RESULTS}/evaluation/scores.txt",
    log:
        f"{RESULTS}/logs/evaluation.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluation.tsv"
    conda:
        "../../envs/rna-predict.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
        attempt=attempt_number,
    params:
        preds=folder_of_models,
        version=PACKAGE_VERSION,
    shell:
        "python -m rna_predict evaluate {params.preds:q} {input.natives:q} --targets {input.samples:q}"
        " 2> >(tee {log:q}.attempt{resources.attempt} > {log:q}) > {output.table:q}"
