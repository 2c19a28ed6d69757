# The page for readers, asked for by name. A run that fails makes it as well, where it was asked for: `report_after_failure`.
rule report:
    """One HTML file with all predictions, which opens offline: snakemake --cores 2 results/report/index.html."""
    input:
        models=of_every_rna(rules.export_prediction.output.pdb),
        samples=config["samples"],
    output:
        page=report(PAGE, caption="../report/index.rst", category="Predictions"),
    log:
        f"{RESULTS}/logs/report.log",
    benchmark:
        f"{RESULTS}/benchmarks/report.tsv"
    conda:
        "../../envs/rna-predict.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
        attempt=attempt_number,
    params:
        results=root_of_stages,
        version=PACKAGE_VERSION,
    shell:
        "python -m rna_predict report {params.results:q} --samples {input.samples:q} --out {output.page:q}"
        " --threads {threads} 2>&1"
        " | tee {log:q}.attempt{resources.attempt} > {log:q}"
