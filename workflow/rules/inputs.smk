rule resolve_config:
    """Compose each stage's settings once. Jobs take the result as `ancient`: not the file's age but the config key in
    their params decides whether they run again."""
    output:
        **{stage: f"{RESULTS}/config/{stage}.yaml" for stage in STAGES},
    log:
        f"{RESULTS}/logs/resolve_config.log",
    benchmark:
        f"{RESULTS}/benchmarks/resolve_config.tsv"
    conda:
        "../../envs/rna-predict.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    params:
        config_keys=[config_key(stage) for stage in STAGES],
        config_dir=config["config_dir"],
        settings=config_settings(),
        folder=folder_of_output,
    shell:
        "python -m rna_predict config resolve --config-dir {params.config_dir:q} --out {params.folder:q}"
        " {params.settings:q} >> {log:q} 2>&1"


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
    params:
        root=root_of_stages,
        sequence=sequence_of,
        max_length=config["max_length"],
        ambiguous=config["ambiguous"],
    shell:
        "python -m rna_predict prepare --root {params.root:q} --max-length {params.max_length}"
        " --ambiguous {params.ambiguous} {wildcards.id:q}={params.sequence:q} >> {log:q} 2>&1"
