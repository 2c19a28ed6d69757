"""`python -m rna_predict` is `rna-predict`; the workflow calls it so, as a job's PATH may lack the script."""

from rna_predict.cli.main import main

if __name__ == "__main__":
    main()
