rule templates:
    """Known structures that are like the RNA under stage A's pairs, threaded onto it; none where the library holds none."""
    input:
        sequence=rules.prepare_input.output.sequence,
        adjacency=rules.stage_a_adjacency.output.adjacency,
        library=template_library_of_config,
        config=rules.resolve_config.output.settings.replace("{stage}", "templates"),
    output:
        templates=f"{RESULTS}/stages/{{id}}/t_templates.safetensors",
        summary=f"{RESULTS}/stages/{{id}}/t_templates.json",
    log:
        f"{RESULTS}/logs/{{id}}/templates.log",
    benchmark:
        f"{RESULTS}/benchmarks/{{id}}/templates.tsv"
    conda:
        "../../envs/rna-predict.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("templates"),
        runtime=runtime_of("templates"),
        attempt=attempt_number,
    params:
        root=root_of_stages,
    shell:
        "python -m rna_predict stage-templates --root {params.root:q} --config {input.config:q} --threads {threads}"
        " {wildcards.id:q} 2>&1"
        " | tee {log:q}.attempt{resources.attempt} > {log:q}"
