# The predictions in the database that trainings are recorded in too.
rule track_predictions:
    """Add all predictions to the database that `tracking` names, so that one job alone writes there. Part of `all`
    where that is set; asked for by name: snakemake --cores 2 track_predictions."""
    input:
        models=of_every_rna(rules.stage_d_diffusion.output.models),
        confidence=of_every_rna(rules.stage_d_diffusion.output.confidence),
        embeddings=of_every_rna(rules.stage_b_torsion.output.embeddings),
    output:
        added=TRACKED,
    log:
        f"{RESULTS}/logs/track_predictions.log",
    benchmark:
        f"{RESULTS}/benchmarks/track_predictions.tsv"
    conda:
        "../../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
        attempt=attempt_number,
    params:
        folder=folder_of_tracking,
        root=root_of_models,
        ids=list(SAMPLES),
        version=PACKAGE_VERSION,
    shell:
        "python -m rna_predict db add {params.folder:q} {params.ids:q} --stages {params.root:q}"
        " --out {output.added:q} 2>&1"
        " | tee {log:q}.attempt{resources.attempt} > {log:q}"
