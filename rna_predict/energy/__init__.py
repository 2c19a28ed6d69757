"""Analytic terms over poses and coordinates: links, contacts, base relations, priors; and their minimiser. Pure."""
