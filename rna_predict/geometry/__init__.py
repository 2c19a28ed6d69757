"""Pure functions on coordinates: dihedrals, frames, superposition, the ribose, NeRF. Import the module you need."""
