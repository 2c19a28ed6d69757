"""Native structures as training examples: the dataset of chains, its clusters and splits, crops, batches."""
