"""`python -m rna_predict` is `rna-predict`; the workflow calls it so, as a job's PATH may lack the script.

`collect` runs once for each RNA of a workflow with batches, so it starts without the rest of the command line.
"""

import sys

if __name__ == "__main__":
    if sys.argv[1:2] == ["collect"]:
        from rna_predict.cli.collect import main as collect

        sys.exit(collect(sys.argv[2:]))
    from rna_predict.cli.main import main

    main()
