//! Where the peer of a session is, and how much may go there. (RFC 9146, 6)
//!
//! A record with a connection id may come from anywhere. The newest authentic one says where the peer is now; but somebody on
//! the way may have caught it and sent it on in the name of a third party. Until the peer has answered something that was
//! sent to the new address, no more goes there than a few times what came from there.

use alloc::vec::Vec;
use core::net::SocketAddr;

use super::by_address::are_one_place;
use super::record::Record;
use super::saved::{put_address, read_address};
use super::wire::Reader;

/// How many bytes may go to an address that is not confirmed for each that came from it. (RFC 9175, 2.4 has the same factor.)
const FACTOR: u32 = 3;

pub(super) struct Path {
    peer: SocketAddr,
    /// The bytes that may still go to the peer's address while it is not confirmed.
    credit: Option<u32>,
}

impl Path {
    /// To where a handshake took place.
    pub(super) const fn confirmed(peer: SocketAddr) -> Self {
        Self { peer, credit: None }
    }

    /// To where nothing may go until something came from there.
    pub(super) const fn unconfirmed(peer: SocketAddr) -> Self {
        Self {
            peer,
            credit: Some(0),
        }
    }

    pub(super) const fn peer(&self) -> SocketAddr {
        self.peer
    }

    pub(super) fn save(&self, out: &mut Vec<u8>) {
        put_address(self.peer, out);
        out.push(self.is_confirmed().into());
    }

    pub(super) fn restore(reader: &mut Reader<'_>) -> Option<Self> {
        let peer = read_address(reader)?;
        match reader.u8()? {
            0 => Some(Self::unconfirmed(peer)),
            1 => Some(Self::confirmed(peer)),
            _ => None,
        }
    }

    pub(super) const fn is_confirmed(&self) -> bool {
        self.credit.is_none()
    }

    /// Notes where an authentic record came from, and follows the peer there when no newer one came before.
    pub(super) fn handle_record(&mut self, from: SocketAddr, record: &Record<'_>, newest: bool) {
        if !are_one_place(from, self.peer) {
            if !newest {
                return;
            }
            *self = Self::unconfirmed(from);
        }
        if let Some(credit) = &mut self.credit {
            let len = u32::try_from(record.len()).unwrap_or(u32::MAX);
            let earned = len.saturating_mul(FACTOR);
            *credit = credit.saturating_add(earned);
        }
    }

    /// The peer has answered what was sent to its address.
    pub(super) const fn confirm(&mut self) {
        self.credit = None;
    }

    /// Whether so many bytes may go to the peer now; they count as sent.
    pub(super) fn spend(&mut self, len: usize) -> bool {
        let Some(credit) = &mut self.credit else {
            return true;
        };
        let left = u32::try_from(len)
            .ok()
            .and_then(|len| credit.checked_sub(len));
        if let Some(left) = left {
            *credit = left;
        }
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::records;
    use super::*;

    fn at(port: u16) -> SocketAddr {
        ([192, 0, 2, 1], port).into()
    }

    #[test]
    fn a_new_address_gets_three_times_what_came_from_it_until_it_is_confirmed() {
        let bytes = [23, 254, 253, 0, 1, 0, 0, 0, 0, 0, 9, 0, 2, 1, 2];
        let record = records(&bytes, 0).next().unwrap();
        let mut path = Path::confirmed(at(1));
        assert!(path.spend(1 << 20));
        path.handle_record(at(2), &record, false);
        assert_eq!(path.peer(), at(1), "an old record leads nowhere");
        path.handle_record(at(2), &record, true);
        assert_eq!((path.peer(), path.is_confirmed()), (at(2), false));
        assert!(!path.spend(46));
        assert!(path.spend(45));
        assert!(!path.spend(1));
        path.handle_record(at(2), &record, false);
        assert!(path.spend(45), "what else comes from there counts too");
        path.handle_record(at(2), &record, true);
        path.handle_record(at(1), &record, true);
        assert!(!path.spend(46), "an address does not earn for another");
        path.confirm();
        assert!(path.spend(1 << 20));
    }
}
