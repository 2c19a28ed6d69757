rule stage_c_reconstruction:
    """All heavy atoms, rebuilt from pairs and torsions."""
    input:
        sequence=rules.prepare_input.output.sequence,
        adjacency=rules.stage_a_adjacency.output.adjacency,
        templates=rules.templates.output.templates,
        torsions=rules.stage_b_torsion.output.torsions,
        embeddings=rules.stage_b_torsion.output.embeddings,
        config=rules.resolve_config.output.settings.replace("{stage}", "stage_c"),
    output:
        coordinates=f"{RESULTS}/stages/{{id}}/c_coordinates.safetensors",
        structure=f"{RESULTS}/stages/{{id}}/c_coordinates.pdb",
    log:
        f"{RESULTS}/logs/{{id}}/stage_c_reconstruction.log",
    benchmark:
        f"{RESULTS}/benchmarks/{{id}}/stage_c_reconstruction.tsv"
    conda:
        "../../envs/rna-predict.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("stage_c"),
        runtime=runtime_of("stage_c"),
        attempt=attempt_number,
    params:
        root=root_of_stages,
    shell:
        "python -m rna_predict stage-c --root {params.root:q} --config {input.config:q} --threads {threads}"
        " {wildcards.id:q} 2>&1"
        " | tee {log:q}.attempt{resources.attempt} > {log:q}"
