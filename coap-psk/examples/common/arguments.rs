//! What both programs are told.

use std::error::Error;
use std::net::SocketAddr;

use coap_psk::{PskIdentity, PskKey};

pub(crate) struct Arguments {
    pub(crate) address: SocketAddr,
    pub(crate) identity: PskIdentity,
    pub(crate) key: PskKey,
    /// What is behind them.
    pub(crate) rest: Vec<String>,
}

impl Arguments {
    /// Reads `ADDRESS IDENTITY KEY ..`.
    pub(crate) fn read() -> Result<Self, Box<dyn Error>> {
        let arguments: Vec<_> = std::env::args().skip(1).collect();
        let [address, identity, key, rest @ ..] = arguments.as_slice() else {
            return Err("the arguments are: ADDRESS IDENTITY KEY".into());
        };
        Ok(Self {
            address: address.parse()?,
            identity: identity.parse()?,
            key: PskKey::new(u128::from_str_radix(key, 16)?.to_be_bytes()),
            rest: rest.to_vec(),
        })
    }
}

/// A seed from the operating system.
pub(crate) fn seed() -> Result<[u8; 32], Box<dyn Error>> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    Ok(seed)
}
