rule download_structures:
    """Structure files by PDB id. They lie in a folder that Snakemake does not own, so that a stopped download goes on
    where it was; the log names each id that failed."""
    input:
        ids=ids_of_dataset,
    output:
        files=DOWNLOADED,
    log:
        f"{RESULTS}/logs/download_structures.log",
    benchmark:
        f"{RESULTS}/benchmarks/download_structures.tsv"
    conda:
        "../../envs/rna-predict.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=1440,
        attempt=attempt_number,
    params:
        folder=store_of_downloads,
        options=options_of_download,
    shell:
        "python -m rna_predict dataset download {input.ids:q} --folder {params.folder:q} --out {output.files:q}"
        " {params.options:q} 2>&1"
        " | tee {log:q}.attempt{resources.attempt} > {log:q}"


rule build_dataset:
    """Chains for training from a folder of structures, or from those that were downloaded: clustered and split.
    Asked for by name: snakemake --cores 2 build_dataset. What was refused stands in refused.tsv of the dataset."""
    input:
        unpack(files_of_dataset),
    output:
        dataset=directory(f"{RESULTS}/dataset/chains"),
    log:
        f"{RESULTS}/logs/build_dataset.log",
    benchmark:
        f"{RESULTS}/benchmarks/build_dataset.tsv"
    conda:
        "../../envs/train.yaml"
    threads: 8
    resources:
        mem_mb=memory_of_dataset,
        runtime=720,
        attempt=attempt_number,
    params:
        structures=structures_of_dataset,
        listing=listing_of_structures,
        options=options_of_dataset,
        version=PACKAGE_VERSION,
    shell:
        "python -m rna_predict dataset build {params.structures:q} --out {output.dataset:q} --processes {threads}"
        " {params.options:q} 2>&1"
        " | tee {log:q}.attempt{resources.attempt} > {log:q}"
