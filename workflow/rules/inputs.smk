rule resolve_config:
    """Compose one stage's settings. There is no file among its inputs: the config key, made from what the files say,
    decides whether it runs again, and with it the stage."""
    output:
        settings=f"{RESULTS}/config/{{stage}}.yaml",
    log:
        f"{RESULTS}/logs/resolve_config/{{stage}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/resolve_config/{{stage}}.tsv"
    conda:
        "../../envs/rna-predict.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
        attempt=attempt_number,
    params:
        config_key=key_of_config,
        config_dir=config["config_dir"],
        network=network_of_stage,
        settings=settings_of_stage,
        folder=folder_of_output,
    shell:
        "python -m rna_predict config resolve --config-dir {params.config_dir:q} --out {params.folder:q}"
        " --stage {wildcards.stage} {params.network:q} {params.settings:q} 2>&1"
        " | tee {log:q}.attempt{resources.attempt} > {log:q}"


rule prepare_input:
    """Check one line of the sample sheet and write it as canonical FASTA (A C G U)."""
    output:
        sequence=f"{RESULTS}/stages/{{id}}/sequence.fasta",
    log:
        f"{RESULTS}/logs/{{id}}/prepare_input.log",
    benchmark:
        f"{RESULTS}/benchmarks/{{id}}/prepare_input.tsv"
    conda:
        "../../envs/rna-predict.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
        attempt=attempt_number,
    params:
        root=root_of_stages,
        sequence=sequence_of,
        ambiguous=config["ambiguous"],
    shell:
        "python -m rna_predict prepare --root {params.root:q} --ambiguous {params.ambiguous}"
        " {wildcards.id:q}={params.sequence:q} 2>&1"
        " | tee {log:q}.attempt{resources.attempt} > {log:q}"
