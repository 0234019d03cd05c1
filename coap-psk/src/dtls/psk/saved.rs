//! A session as bytes, for [`PskEndpoint::export`](super::PskEndpoint::export) and
//! [`import`](super::PskEndpoint::import).
//!
//! ```text
//!  version 1, suite (2), identity (2 + n)
//!  address: 4, IPv4 (4), port (2)  |  6, IPv6 (16), port (2), flow (4), scope (4); whether it is confirmed (1)
//!  outbound: peer's id (1 + n), first sequence number (8), keys
//!  inbound:  own id (1 + n), window (8 + 8), forgeries (4), keys
//!  keys:     CCM_8: key (16), salt (4)  |  CBC: MAC key (32), key (16)
//! ```

use alloc::vec::Vec;
use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use zeroize::Zeroizing;

use super::wire::Reader;
use crate::dtls::SessionId;

/// The form that is written, and the only one that is read.
pub(super) const VERSION: u8 = 1;

const V4: u8 = 4;
const V6: u8 = 6;

/// What is left of a session when its program ends: its keys, its numbers, who and where its peer is.
///
/// Whoever has the bytes can read and forge all records of the session, so they are to be encrypted wherever they are kept.
/// They do not print and are wiped when dropped.
pub struct SavedSession {
    session: SessionId,
    end: u64,
    bytes: Zeroizing<Vec<u8>>,
}

impl SavedSession {
    pub(super) const fn new(session: SessionId, end: u64, bytes: Zeroizing<Vec<u8>>) -> Self {
        Self {
            session,
            end,
            bytes,
        }
    }

    /// The bytes that [`PskEndpoint::import`](super::PskEndpoint::import) takes.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) const fn session(&self) -> SessionId {
        self.session
    }

    /// The first sequence number that is not reserved.
    pub(super) const fn end(&self) -> u64 {
        self.end
    }
}

impl fmt::Debug for SavedSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SavedSession(..)")
    }
}

pub(super) fn put_address(address: SocketAddr, out: &mut Vec<u8>) {
    match address {
        SocketAddr::V4(address) => {
            out.push(V4);
            out.extend(address.ip().octets());
            out.extend(address.port().to_be_bytes());
        }
        SocketAddr::V6(address) => {
            out.push(V6);
            out.extend(address.ip().octets());
            out.extend(address.port().to_be_bytes());
            out.extend(address.flowinfo().to_be_bytes());
            out.extend(address.scope_id().to_be_bytes());
        }
    }
}

pub(super) fn read_address(reader: &mut Reader<'_>) -> Option<SocketAddr> {
    match reader.u8()? {
        V4 => {
            let ip = Ipv4Addr::from(reader.array::<4>()?);
            Some((ip, reader.u16()?).into())
        }
        V6 => {
            let ip = Ipv6Addr::from(reader.array::<16>()?);
            let (port, flow, scope) = (reader.u16()?, reader.u32()?, reader.u32()?);
            Some(SocketAddrV6::new(ip, port, flow, scope).into())
        }
        _ => None,
    }
}
