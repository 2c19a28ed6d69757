# Stages A to D where the config has `batches`: a job for many RNAs writes to a store, which is not Snakemake's, and says
# what became of each; the rules with the names of the single stages then put one RNA's files in place.
rule stage_a_batch:
    """Base pairs of many RNAs; the rules with `_batch` are the stages' own, a job for all RNAs of a batch."""
    input:
        samples=ancient(config["samples"]),
        given=files_of_batch(structure_of),
        reactivity=files_of_batch(reactivity_of),
        library=library_of_config,
        templates=template_library_of_config,
        templates_config=rules.resolve_config.output.settings.replace("{stage}", "templates"),
        config=rules.resolve_config.output.settings.replace("{stage}", "stage_a"),
    output:
        status=f"{RESULTS}/batches/{{batch}}/stage_a.json",
    log:
        f"{RESULTS}/logs/batches/{{batch}}/stage_a.log",
    benchmark:
        f"{RESULTS}/benchmarks/batches/{{batch}}/stage_a.tsv"
    retries: RETRIES_HERE
    conda:
        "../../envs/rna-predict.yaml"
    threads: 1
    resources:
        mem_mb=memory_of_batch("stage_a"),
        runtime=runtime_of_batch("stage_a"),
        attempt=attempt_number,
        attempts_left=attempts_left,
    params:
        store=STORE,
        ids=ids_of_batch,
        rows=rows_of_batch,
        given=options_of_batch("given", structure_of),
        reactivity=options_of_batch("reactivity", reactivity_of),
        ambiguous=config["ambiguous"],
    shell:
        "python -m rna_predict stage-a --store {params.store:q} --status {output.status:q} --config {input.config:q}"
        " --threads {threads} --attempts-left {resources.attempts_left} --samples {input.samples:q} --ambiguous {params.ambiguous}"
        " --templates-config {input.templates_config:q} {params.given:q} {params.reactivity:q} {params.ids:q} 2>&1"
        " | tee {log:q}.attempt{resources.attempt} > {log:q}"


rule templates_batch:
    """Known structures that are like the RNAs."""
    input:
        upstream=rules.stage_a_batch.output.status,
        library=template_library_of_config,
        config=rules.resolve_config.output.settings.replace("{stage}", "templates"),
    output:
        status=f"{RESULTS}/batches/{{batch}}/templates.json",
    log:
        f"{RESULTS}/logs/batches/{{batch}}/templates.log",
    benchmark:
        f"{RESULTS}/benchmarks/batches/{{batch}}/templates.tsv"
    retries: RETRIES_HERE
    conda:
        "../../envs/rna-predict.yaml"
    threads: 1
    resources:
        mem_mb=memory_of_batch("templates"),
        runtime=runtime_of_batch("templates"),
        attempt=attempt_number,
        attempts_left=attempts_left,
    params:
        store=STORE,
        ids=ids_of_batch,
        rows=rows_of_batch,
    shell:
        "python -m rna_predict stage-templates --store {params.store:q} --status {output.status:q} --config {input.config:q}"
        " --threads {threads} --attempts-left {resources.attempts_left} --upstream {input.upstream:q}"
        " {params.ids:q} 2>&1"
        " | tee {log:q}.attempt{resources.attempt} > {log:q}"


rule search_msa_batch:
    """Homologs of the RNAs that bring no alignment, where the config names a database."""
    input:
        upstream=rules.templates_batch.output.status,
        database=database_of_msa,
    output:
        status=f"{RESULTS}/batches/{{batch}}/msa.json",
    log:
        f"{RESULTS}/logs/batches/{{batch}}/msa.log",
    benchmark:
        f"{RESULTS}/benchmarks/batches/{{batch}}/msa.tsv"
    retries: RETRIES_HERE
    conda:
        "../../envs/rna-predict.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=runtime_of_searches,
        attempt=attempt_number,
    params:
        store=STORE,
        ids=ids_of_batch,
        rows=rows_of_batch,
        folder=f"{RESULTS}/msa",
        own=options_of_owners("own", own_msa_of),
        options=options_of_msa,
    shell:
        "python -m rna_predict msa batch --store {params.store:q} --status {output.status:q} --upstream {input.upstream:q}"
        " --database {input.database:q} --out {params.folder:q} {params.options:q} --threads {threads} {params.own:q}"
        " {params.ids:q} 2>&1"
        " | tee {log:q}.attempt{resources.attempt} > {log:q}"


rule stage_b_batch:
    """Torsions and the pair representation."""
    input:
        upstream=status_before_stage_b,
        msa=files_of_batch(own_msa_of),
        weights=weights_of_config,
        partial=partial_of("stage_b"),
        config=rules.resolve_config.output.settings.replace("{stage}", "stage_b"),
    output:
        status=f"{RESULTS}/batches/{{batch}}/stage_b.json",
    log:
        f"{RESULTS}/logs/batches/{{batch}}/stage_b.log",
    benchmark:
        f"{RESULTS}/benchmarks/batches/{{batch}}/stage_b.tsv"
    retries: RETRIES_HERE
    conda:
        "../../envs/rna-predict.yaml"
    threads: 1
    resources:
        mem_mb=memory_of_batch("stage_b"),
        runtime=runtime_of_batch("stage_b"),
        attempt=attempt_number,
        attempts_left=attempts_left,
        gpu=gpu_of("stage_b"),
    params:
        store=STORE,
        ids=ids_of_batch,
        rows=rows_of_batch,
        msa=options_of_batch("msa", msa_of),
    shell:
        "python -m rna_predict stage-b --store {params.store:q} --status {output.status:q} --config {input.config:q}"
        " --threads {threads} --attempts-left {resources.attempts_left} --upstream {input.upstream:q}"
        " {params.msa:q} {params.ids:q} 2>&1"
        " | tee {log:q}.attempt{resources.attempt} > {log:q}"


rule stage_c_batch:
    """All heavy atoms."""
    input:
        upstream=rules.stage_b_batch.output.status,
        config=rules.resolve_config.output.settings.replace("{stage}", "stage_c"),
    output:
        status=f"{RESULTS}/batches/{{batch}}/stage_c.json",
    log:
        f"{RESULTS}/logs/batches/{{batch}}/stage_c.log",
    benchmark:
        f"{RESULTS}/benchmarks/batches/{{batch}}/stage_c.tsv"
    retries: RETRIES_HERE
    conda:
        "../../envs/rna-predict.yaml"
    threads: 1
    resources:
        mem_mb=memory_of_batch("stage_c"),
        runtime=runtime_of_batch("stage_c"),
        attempt=attempt_number,
        attempts_left=attempts_left,
    params:
        store=STORE,
        ids=ids_of_batch,
        rows=rows_of_batch,
    shell:
        "python -m rna_predict stage-c --store {params.store:q} --status {output.status:q} --config {input.config:q}"
        " --threads {threads} --attempts-left {resources.attempts_left} --upstream {input.upstream:q}"
        " {params.ids:q} 2>&1"
        " | tee {log:q}.attempt{resources.attempt} > {log:q}"


rule stage_d_batch:
    """The ensemble and the best model alone."""
    input:
        upstream=rules.stage_c_batch.output.status,
        weights=weights_of_config,
        partial=partial_of("stage_d"),
        config=rules.resolve_config.output.settings.replace("{stage}", "stage_d"),
    output:
        status=f"{RESULTS}/batches/{{batch}}/stage_d.json",
    log:
        f"{RESULTS}/logs/batches/{{batch}}/stage_d.log",
    benchmark:
        f"{RESULTS}/benchmarks/batches/{{batch}}/stage_d.tsv"
    retries: RETRIES_HERE
    conda:
        "../../envs/rna-predict.yaml"
    threads: 1
    resources:
        mem_mb=memory_of_batch("stage_d"),
        runtime=runtime_of_batch("stage_d"),
        attempt=attempt_number,
        attempts_left=attempts_left,
        gpu=gpu_of("stage_d"),
    params:
        store=STORE,
        ids=ids_of_batch,
        rows=rows_of_batch,
    shell:
        "python -m rna_predict stage-d --store {params.store:q} --status {output.status:q} --config {input.config:q}"
        " --threads {threads} --attempts-left {resources.attempts_left} --upstream {input.upstream:q}"
        " {params.ids:q} 2>&1"
        " | tee {log:q}.attempt{resources.attempt} > {log:q}"


rule stage_a_adjacency:
    """Put the base pairs of one RNA in place."""
    input:
        status=status_of("stage_a"),
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
        mem_mb=100,
        runtime=5,
        attempt=attempt_number,
    params:
        store=STORE,
        stages=root_of_stages,
    shell:
        "python -m rna_predict collect {wildcards.id:q} --status {input.status:q} --store {params.store:q}"
        " --stages {params.stages:q} 2>&1"
        " | tee {log:q}.attempt{resources.attempt} > {log:q}"


rule templates:
    """Put the templates of one RNA in place."""
    input:
        status=status_of("templates"),
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
        mem_mb=100,
        runtime=5,
        attempt=attempt_number,
    params:
        store=STORE,
        stages=root_of_stages,
    shell:
        "python -m rna_predict collect {wildcards.id:q} --status {input.status:q} --store {params.store:q}"
        " --stages {params.stages:q} 2>&1"
        " | tee {log:q}.attempt{resources.attempt} > {log:q}"


rule stage_b_torsion:
    """Put torsions and embeddings of one RNA in place."""
    input:
        status=status_of("stage_b"),
    output:
        torsions=f"{RESULTS}/stages/{{id}}/b_torsions.safetensors",
        embeddings=f"{RESULTS}/stages/{{id}}/b_embeddings.safetensors",
    log:
        f"{RESULTS}/logs/{{id}}/stage_b_torsion.log",
    benchmark:
        f"{RESULTS}/benchmarks/{{id}}/stage_b_torsion.tsv"
    conda:
        "../../envs/rna-predict.yaml"
    threads: 1
    resources:
        mem_mb=100,
        runtime=5,
        attempt=attempt_number,
    params:
        store=STORE,
        stages=root_of_stages,
    shell:
        "python -m rna_predict collect {wildcards.id:q} --status {input.status:q} --store {params.store:q}"
        " --stages {params.stages:q} 2>&1"
        " | tee {log:q}.attempt{resources.attempt} > {log:q}"


rule stage_c_reconstruction:
    """Put the coordinates of one RNA in place."""
    input:
        status=status_of("stage_c"),
    output:
        coordinates=f"{RESULTS}/stages/{{id}}/c_coordinates.safetensors",
        structure=f"{RESULTS}/stages/{{id}}/c_coordinates.pdb",
    log:
        f"{RESULTS}/logs/{{id}}/stage_c_reconstruction.log",
    benchmark:
        f"{RESULTS}/benchmarks/{{id}}/stage_c_reconstruction.tsv"
    conda:
        "../../envs/rna-predict.yaml"
    threads: 1
    resources:
        mem_mb=100,
        runtime=5,
        attempt=attempt_number,
    params:
        store=STORE,
        stages=root_of_stages,
    shell:
        "python -m rna_predict collect {wildcards.id:q} --status {input.status:q} --store {params.store:q}"
        " --stages {params.stages:q} 2>&1"
        " | tee {log:q}.attempt{resources.attempt} > {log:q}"


rule stage_d_diffusion:
    """Put the ensemble of one RNA in place."""
    input:
        status=status_of("stage_d"),
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
        mem_mb=100,
        runtime=5,
        attempt=attempt_number,
    params:
        store=STORE,
        stages=root_of_stages,
    shell:
        "python -m rna_predict collect {wildcards.id:q} --status {input.status:q} --store {params.store:q}"
        " --stages {params.stages:q} 2>&1"
        " | tee {log:q}.attempt{resources.attempt} > {log:q}"


rule export_prediction:
    """Put the best model of one RNA in place, and beside it what every stage made."""
    input:
        status=status_of("stage_d"),
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
        mem_mb=100,
        runtime=5,
        attempt=attempt_number,
    params:
        store=STORE,
        stages=f"{RESULTS}/stages",
        preds=folder_of_output,
    shell:
        "python -m rna_predict collect {wildcards.id:q} --status {input.status:q} --store {params.store:q}"
        " --stages {params.stages:q} --preds {params.preds:q} 2>&1"
        " | tee {log:q}.attempt{resources.attempt} > {log:q}"


# Milliseconds each, on the submit host.
localrules:
    stage_a_adjacency,
    templates,
    stage_b_torsion,
    stage_c_reconstruction,
    stage_d_diffusion,
    export_prediction,
