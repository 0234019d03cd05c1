//! The machine contract: determinism, late draining, progress, every command ends once, nothing is poisoned.
