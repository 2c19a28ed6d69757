"""How much the networks work on at once: the blocks keep to it, and estimates of cost count with it, without torch."""

CPU_POSITIONS = 2048
"""Positions (pairs, or residues of an alignment) at once on a CPU: the temporaries of a few MB stay in its cache."""

CHANNELS_AT_ONCE = 16
"""Channels of triangle multiplication whose products are held beside their factors where no gradient is recorded."""

WINDOWS_AT_ONCE = 8
"""Windows whose pairs are embedded at a time where no gradient is recorded: 2 MB at 16 channels, as a cache holds."""

BIAS_BYTES = 2**30
"""Most memory for biases that are kept between steps: 836 residues at base (24 blocks of 16 heads), where the pair
representation itself takes a third of it. Beyond it each block makes its bias anew, which costs a sixth of a step with
one sample and a thirtieth with five (base, 200 nt, one thread)."""
