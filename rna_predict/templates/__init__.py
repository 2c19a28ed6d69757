"""Known structures of RNA: a library of them, the search for those like a query, and threading onto it."""
