rule stage_a_adjacency:
    """Base pairs: probabilities and a valid matching, from the sequence and, where there are, a structure and reactivities."""
    input:
        sequence=rules.prepare_input.output.sequence,
        given=structure_of,
        reactivity=reactivity_of,
        library=library_of_config,
        templates=template_library_of_config,
        templates_config=rules.resolve_config.output.settings.replace("{stage}", "templates"),
        config=rules.resolve_config.output.settings.replace("{stage}", "stage_a"),
    output:
        adjacency=f"{RESULTS}/stages/{{id}}/a_adjacency.safetensors",
        dot_bracket=f"{RESULTS}/stages/{{id}}/a_adjacency.dbn",
        family_alignment=f"{RESULTS}/stages/{{id}}/a_family.a3m",
        families=f"{RESULTS}/stages/{{id}}/a_family.json",
    log:
        f"{RESULTS}/logs/{{id}}/stage_a_adjacency.log",
    benchmark:
        f"{RESULTS}/benchmarks/{{id}}/stage_a_adjacency.tsv"
    conda:
        "../../envs/rna-predict.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("stage_a"),
        runtime=runtime_of("stage_a"),
        attempt=attempt_number,
    params:
        root=root_of_stages,
        given=given_argument,
        reactivity=reactivity_argument,
    shell:
        "python -m rna_predict stage-a --root {params.root:q} --config {input.config:q} --threads {threads}"
        " --templates-config {input.templates_config:q} {params.given:q} {params.reactivity:q} {wildcards.id:q} 2>&1"
        " | tee {log:q}.attempt{resources.attempt} > {log:q}"
