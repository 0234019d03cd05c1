//! Device provisioning as sans-IO ledgers and machines: products, devices, sealed credentials, owners.
