rule stage_b_torsion:
    """Torsions with their certainty, and the pair representation that stage D is conditioned on."""
    input:
        sequence=rules.prepare_input.output.sequence,
        adjacency=rules.stage_a_adjacency.output.adjacency,
        templates=rules.templates.output.templates,
        msa=msa_of,
        family_alignment=rules.stage_a_adjacency.output.family_alignment,
        weights=weights_of_config,
        partial=partial_of("stage_b"),
        config=rules.resolve_config.output.settings.replace("{stage}", "stage_b"),
    output:
        torsions=f"{RESULTS}/stages/{{id}}/b_torsions.safetensors",
        embeddings=f"{RESULTS}/stages/{{id}}/b_embeddings.safetensors",
    log:
        f"{RESULTS}/logs/{{id}}/stage_b_torsion.log",
    benchmark:
        f"{RESULTS}/benchmarks/{{id}}/stage_b_torsion.tsv"
    conda:
        "../../envs/rna-predict.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("stage_b"),
        runtime=runtime_of("stage_b"),
        attempt=attempt_number,
        gpu=gpu_of("stage_b"),
    params:
        root=root_of_stages,
        msa=msa_argument,
    shell:
        "python -m rna_predict stage-b --root {params.root:q} --config {input.config:q} --threads {threads}"
        " {params.msa:q} {wildcards.id:q} 2>&1"
        " | tee {log:q}.attempt{resources.attempt} > {log:q}"
