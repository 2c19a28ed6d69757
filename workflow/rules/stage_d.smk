rule stage_d_diffusion:
    """An ensemble of all-atom models, ranked, with confidence."""
    input:
        sequence=rules.prepare_input.output.sequence,
        adjacency=rules.stage_a_adjacency.output.adjacency,
        torsions=rules.stage_b_torsion.output.torsions,
        embeddings=rules.stage_b_torsion.output.embeddings,
        coordinates=rules.stage_c_reconstruction.output.coordinates,
        weights=weights_of_config,
        partial=partial_of("stage_d"),
        config=rules.resolve_config.output.settings.replace("{stage}", "stage_d"),
    output:
        models=f"{RESULTS}/stages/{{id}}/d_models.cif",
        confidence=f"{RESULTS}/stages/{{id}}/d_confidence.json",
    log:
        f"{RESULTS}/logs/{{id}}/stage_d_diffusion.log",
    benchmark:
        f"{RESULTS}/benchmarks/{{id}}/stage_d_diffusion.tsv"
    conda:
        "../../envs/rna-predict.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("stage_d"),
        runtime=runtime_of("stage_d"),
        attempt=attempt_number,
        gpu=gpu_of("stage_d"),
    params:
        root=root_of_stages,
    shell:
        "python -m rna_predict stage-d --root {params.root:q} --config {input.config:q} --threads {threads}"
        " {wildcards.id:q} 2>&1"
        " | tee {log:q}.attempt{resources.attempt} > {log:q}"


rule export_prediction:
    """The best model alone: pLDDT in the B-factor column, one unbroken chain."""
    input:
        models=rules.stage_d_diffusion.output.models,
        confidence=rules.stage_d_diffusion.output.confidence,
    output:
        pdb=f"{RESULTS}/preds/{{id}}.pdb",
        cif=f"{RESULTS}/preds/{{id}}.cif",
    log:
        f"{RESULTS}/logs/{{id}}/export_prediction.log",
    benchmark:
        f"{RESULTS}/benchmarks/{{id}}/export_prediction.tsv"
    conda:
        "../../envs/rna-predict.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=5,
        attempt=attempt_number,
    params:
        root=folder_of_models,
        preds=folder_of_output,
        version=PACKAGE_VERSION,
    shell:
        "python -m rna_predict export --root {params.root:q} --out {params.preds:q} {wildcards.id:q} 2>&1"
        " | tee {log:q}.attempt{resources.attempt} > {log:q}"
