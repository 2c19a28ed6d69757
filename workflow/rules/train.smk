rule resolve_training:
    """Compose an experiment's settings. As in `resolve_config` there is no file among its inputs: the key decides."""
    output:
        settings=f"{RESULTS}/config/train/{{run}}.yaml",
    log:
        f"{RESULTS}/logs/resolve_training/{{run}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/resolve_training/{{run}}.tsv"
    conda:
        "../../envs/rna-predict.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
        attempt=attempt_number,
    params:
        config_key=key_of_training,
        config_dir=config["config_dir"],
        settings=settings_of_training,
    shell:
        "python -m rna_predict config experiment {wildcards.run:q} --config-dir {params.config_dir:q}"
        " --out {output.settings:q} {params.settings:q} 2>&1"
        " | tee {log:q}.attempt{resources.attempt} > {log:q}"


rule train:
    """Train the experiment config/experiment/<run>.yaml. The run's folder is not Snakemake's, only what it hands on is:
    after a failure, a kill or a time limit the same command, or a retry, goes on from the last state there."""
    input:
        dataset=dataset_of_training,
        weights=weights_of_config,
        config=rules.resolve_training.output.settings,
    output:
        partial=TRAINED,
    log:
        f"{RESULTS}/logs/train/{{run}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train/{{run}}.tsv"
    conda:
        "../../envs/train.yaml"
    threads: 4
    resources:
        mem_mb=memory_of_training,
        runtime=1440,
        attempt=attempt_number,
        gpu=gpu_of("training"),
    params:
        folder=folder_of_output,
    # Slurm and Ctrl-C signal the whole job: the shell and its log must outlive the training, which writes its state.
    shell:
        "trap : TERM INT USR1;"
        " python -m rna_predict train --config {input.config:q} --out {params.folder:q} --name {wildcards.run:q}"
        " --threads {threads} 2>&1"
        " | (trap '' TERM INT USR1; exec tee {log:q}.attempt{resources.attempt}) > {log:q}"
