"""Training: what is adapted, saved and resumed. The only package that may import Lightning."""
