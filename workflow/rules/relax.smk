# Needs the extra `relax` (OpenMM); part of `all` where the config's `relax` says so.
rule relax:
    """The best model minimised in AMBER OL3, or as it is where that is worse: snakemake --cores 2 results/relaxed/<id>.pdb."""
    input:
        models=rules.stage_d_diffusion.output.models,
        confidence=rules.stage_d_diffusion.output.confidence,
    output:
        pdb=f"{RELAXED}.pdb",
        cif=f"{RELAXED}.cif",
    log:
        f"{RESULTS}/logs/{{id}}/relax.log",
    benchmark:
        f"{RESULTS}/benchmarks/{{id}}/relax.tsv"
    conda:
        "../../envs/relax.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=20,
        attempt=attempt_number,
    params:
        folder=folder_of_output,
        version=PACKAGE_VERSION,
    shell:
        "python -m rna_predict relax {input.models:q} {params.folder:q} --confidence {input.confidence:q}"
        " --threads {threads} 2>&1"
        " | tee {log:q}.attempt{resources.attempt} > {log:q}"
