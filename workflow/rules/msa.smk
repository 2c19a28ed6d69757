# Homologs of each RNA for the trunk of stage B, where the config names a database of sequences; a file in the sample
# sheet comes first.
rule search_msa:
    """An alignment of the RNA's homologs by nhmmer; of the RNA alone where there are none."""
    input:
        sequence=rules.prepare_input.output.sequence,
        database=database_of_msa,
    output:
        alignment=f"{RESULTS}/msa/{{id}}.a3m",
    log:
        f"{RESULTS}/logs/{{id}}/search_msa.log",
    benchmark:
        f"{RESULTS}/benchmarks/{{id}}/search_msa.tsv"
    conda:
        "../../envs/rna-predict.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=720,
        attempt=attempt_number,
    params:
        folder=folder_of_output,
        options=options_of_msa,
    shell:
        "python -m rna_predict msa search {input.sequence:q} --database {input.database:q} --out {params.folder:q}"
        " {params.options:q} --threads {threads} 2>&1"
        " | tee {log:q}.attempt{resources.attempt} > {log:q}"
