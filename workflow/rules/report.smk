# The page for readers, asked for by name. A run that fails makes it as well, where it was asked for: with what is there,
# and with the reasons of what is not.
import subprocess

PAGE = f"{RESULTS}/report/index.html"


def report_after_failure():
    """Make the page where this run was asked for it and could not get as far: a rule with a missing input never runs."""
    if not {PAGE, "report"} & {str(target) for target in workflow.dag_settings.targets}:
        return
    command = [sys.executable, "-m", "rna_predict", "report", RESULTS, "--samples", config["samples"], "--out", PAGE]
    made = subprocess.run(command, check=False).returncode == 0
    logger.info(f"{PAGE}: {'made of what is there' if made else 'could not be made'}; some RNAs failed.")


rule report:
    """One HTML file with all predictions, which opens offline: snakemake --cores 2 results/report/index.html."""
    input:
        models=expand(rules.export_prediction.output.pdb, id=SAMPLES),
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
        results=RESULTS,
        version=PACKAGE_VERSION,
    shell:
        "python -m rna_predict report {params.results:q} --samples {input.samples:q} --out {output.page:q}"
        " --threads {threads} 2>&1"
        " | tee {log:q}.attempt{resources.attempt} > {log:q}"


AFTER_FAILURE.insert(0, report_after_failure)  # before what removes files that it reads
