"""RNA sequences in, trustworthy 3D structures out."""

__version__ = "0.1.0"
