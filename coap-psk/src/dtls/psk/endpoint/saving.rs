//! Sessions that outlive the program.

use alloc::boxed::Box;

use super::PskEndpoint;
use crate::dtls::psk::saved::SavedSession;
use crate::dtls::psk::session::Session;
use crate::dtls::psk::table::Connection;
use crate::dtls::{DtlsEvent, SessionId};
use crate::error::{Error, ErrorKind};
use crate::time::Instant;

impl PskEndpoint {
    /// Saves a session, so that a later endpoint can go on with it; `None` when it is not established.
    ///
    /// The session goes on here as well, and what is saved must not be used twice: no sequence number may ever come back under
    /// one key. So an export reserves [`PskConfig::reserved_records`](super::super::PskConfig::reserved_records) numbers, and an
    /// endpoint that imports it begins behind them. The session sends within what was reserved by the last export that
    /// [`handle_stored`](Self::handle_stored) told of, and not beyond; [`records_left`](Self::records_left) says when it is time
    /// for another one. Exports of one session are to be stored in their order, each in the place of the one before.
    ///
    /// What arrived after the export is not known to the endpoint that imports it. A record of that time can be replayed to
    /// it, once. Export before you act on what must not be done twice, or last of all, when the program ends in good order. A
    /// client whose handshake had ended here and not there, because the last flight was lost, makes a new one.
    pub fn export(&mut self, session: SessionId, now: Instant) -> Option<SavedSession> {
        self.cx.advance(now);
        let count = self.cx.config.reserved_records;
        let Some(Connection::Established(it)) = self.table.get_mut(session.0) else {
            return None;
        };
        let end = it.reserve(count.into());
        Some(SavedSession::new(session, end, it.save(end)))
    }

    /// Learns that an export is where it will be found again: what it reserved may be used.
    pub fn handle_stored(&mut self, saved: &SavedSession, now: Instant) {
        self.cx.advance(now);
        if let Some(Connection::Established(it)) = self.table.get_mut(saved.session().0) {
            it.extend_reservation(saved.end());
        }
    }

    /// How many records a session may still send before it must be exported and stored again; for one that never was, all that
    /// the standard allows. `None` when it is not established.
    #[must_use]
    pub fn records_left(&self, session: SessionId) -> Option<u64> {
        match self.table.get(session.0) {
            Some(Connection::Established(it)) => Some(it.records_left()),
            _ => None,
        }
    }

    /// Goes on with a session that was exported, of either role. [`Established`](DtlsEvent::Established) follows, without a
    /// handshake.
    ///
    /// It hears the peer at once. It sends nothing until it was exported and stored once more: otherwise a program that ends
    /// again before it has come so far would begin with the same numbers a second time.
    ///
    /// ```
    /// # use coap_psk::dtls::psk::{PskConfig, PskEndpoint, SavedSession};
    /// # use coap_psk::{Error, Instant};
    /// # fn store(sealed: &SavedSession) {}
    /// fn restart(saved: &[Vec<u8>], seed: [u8; 32], now: Instant) -> Result<PskEndpoint, Error> {
    ///     let mut endpoint = PskEndpoint::new(PskConfig::default(), seed);
    ///     for bytes in saved {
    ///         let session = endpoint.import(bytes, now)?;
    ///         if let Some(saved) = endpoint.export(session, now) {
    ///             store(&saved); // encrypted, and in the place of `bytes`
    ///             endpoint.handle_stored(&saved, now);
    ///         }
    ///     }
    ///     Ok(endpoint)
    /// }
    /// # assert!(restart(&[], [0; 32], Instant::ZERO).is_ok());
    /// # assert!(restart(&[vec![1, 2]], [0; 32], Instant::ZERO).is_err());
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::SavedSession`] when the bytes are no export that this version can read, or its connection id is not of the
    /// length that ids have here, or names another [shard](super::super::PskConfig::shard); [`ErrorKind::Refused`] when the id, or the address of one without an id, is in use;
    /// [`ErrorKind::Full`] over the cap of sessions.
    pub fn import(&mut self, saved: &[u8], now: Instant) -> Result<SessionId, Error> {
        self.cx.advance(now);
        let session = Session::restore(saved).ok_or(ErrorKind::SavedSession)?;
        let connection_id = session.connection_id();
        let id_len = connection_id.as_bytes().len();
        if id_len != 0 && id_len != self.cx.config.own_id_len() {
            return Err(Error::with_source(
                ErrorKind::SavedSession,
                "connection ids have another length here",
            ));
        }
        let shard = self.cx.config.shard;
        if id_len != 0 && shard.is_some() && connection_id.shard() != shard {
            return Err(Error::with_source(
                ErrorKind::SavedSession,
                "its connection id names another shard",
            ));
        }
        if self.table.has_rival_of(&session) {
            return Err(ErrorKind::Refused.into());
        }
        if self.is_full() {
            return Err(ErrorKind::Full.into());
        }
        let (peer, identity) = (session.peer(), session.identity().to_vec());
        let session = SessionId(self.table.restore(Box::new(session)));
        self.events.push_back(DtlsEvent::Established {
            session,
            peer,
            identity,
        });
        Ok(session)
    }
}
