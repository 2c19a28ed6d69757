# Stages A to D: with `batches` in the config a job for many RNAs, else one for each RNA. Rules and files of one RNA have
# the same names in both.
if config["batches"]:

    include: "batch_layout.smk"
    include: "batches.smk"

else:

    include: "stage_a.smk"
    include: "templates.smk"
    include: "stage_b.smk"
    include: "stage_c.smk"
    include: "stage_d.smk"
