//! Where ledgers are kept: an append contract with optimistic versions, an in-memory and an embedded implementation, sealing of secrets.
