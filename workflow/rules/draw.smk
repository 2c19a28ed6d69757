# Pictures for a reader, which no other rule needs: asked for by name.
rule draw_base_pairs:
    """Structure drawing, arc diagram and dot plot: snakemake --cores 2 results/figures/<id>/structure.svg."""
    input:
        adjacency=rules.stage_a_adjacency.output.adjacency,
    output:
        structure=f"{RESULTS}/figures/{{id}}/structure.svg",
        arcs=f"{RESULTS}/figures/{{id}}/arcs.svg",
        dots=f"{RESULTS}/figures/{{id}}/dots.svg",
    log:
        f"{RESULTS}/logs/{{id}}/draw_base_pairs.log",
    benchmark:
        f"{RESULTS}/benchmarks/{{id}}/draw_base_pairs.tsv"
    conda:
        "../../envs/rna-predict.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("stage_a"),
        runtime=5,
        attempt=attempt_number,
    params:
        figures=root_of_stages,
        version=PACKAGE_VERSION,
    shell:
        "python -m rna_predict draw {input.adjacency:q} --out {params.figures:q} --threads {threads} 2>&1"
        " | tee {log:q}.attempt{resources.attempt} > {log:q}"
