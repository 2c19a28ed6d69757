"""RNA families: profiles and consensus structures of Rfam, and what they say of one sequence."""
