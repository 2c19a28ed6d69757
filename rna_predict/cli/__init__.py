"""One entry, `rna-predict`, with a subcommand for each rule. Heavy imports happen inside the commands."""
