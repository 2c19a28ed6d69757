rule download_families:
    """The seed alignments of Rfam that the config names, for a newer library of families than the package carries. The
    log states size and sha256."""
    output:
        seeds=f"{RESULTS}/families/Rfam.seed.gz",
    log:
        f"{RESULTS}/logs/download_families.log",
    benchmark:
        f"{RESULTS}/benchmarks/download_families.tsv"
    conda:
        "../../envs/rna-predict.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=120,
        attempt=attempt_number,
    params:
        url=url_of_families,
    shell:
        "python -m rna_predict families download --out {output.seeds:q} --url {params.url:q} 2>&1"
        " | tee {log:q}.attempt{resources.attempt} > {log:q}"


rule build_families:
    """Profiles, consensus pairs and seed rows of all families, as stage A reads them; minutes on one core."""
    input:
        seeds=rules.download_families.output.seeds,
    output:
        library=LIBRARY,
    log:
        f"{RESULTS}/logs/build_families.log",
    benchmark:
        f"{RESULTS}/benchmarks/build_families.tsv"
    conda:
        "../../envs/rna-predict.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=120,
        attempt=attempt_number,
    params:
        release=release_of_families,
    shell:
        "python -m rna_predict families build {input.seeds:q} --out {output.library:q} --release {params.release:q} 2>&1"
        " | tee {log:q}.attempt{resources.attempt} > {log:q}"
