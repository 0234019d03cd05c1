//! OCF resources, Universal Cloud Interface messages, event signature, JSON and CBOR content.
