//! OAuth 2.0 account linking as sans-IO machines and ledgers, authorization server and client role.
