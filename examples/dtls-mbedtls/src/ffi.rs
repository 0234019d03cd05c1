//! The functions of `c/peer.h`, made safe.
#![expect(unsafe_code, reason = "Mbed TLS is C; each block says why it is sound")]

use std::ffi::c_int;
use std::fmt;
use std::ptr::{self, NonNull};
use std::rc::Rc;

use coap_psk::PskKey;

/// More than a record and its header are. (RFC 6347, 4.1)
const MAX_DATAGRAM: usize = 1 << 15;
/// The most bytes of one record. (RFC 6347, 4.1; RFC 5246, 6.2.1)
const MAX_PLAINTEXT: usize = 1 << 14;

#[repr(C)]
struct RawCookies {
    _opaque: [u8; 0],
}

#[repr(C)]
struct RawPeer {
    _opaque: [u8; 0],
}

unsafe extern "C" {
    fn cookies_new() -> *mut RawCookies;
    fn cookies_free(it: *mut RawCookies);
    fn peer_new(
        cookies: *mut RawCookies,
        suites: *const c_int,
        id: *const u8,
        id_len: c_int,
    ) -> *mut RawPeer;
    fn peer_free(it: *mut RawPeer);
    fn peer_identity(it: *mut RawPeer, identity: *const u8, len: usize, key: *const u8) -> c_int;
    fn peer_transport_id(it: *mut RawPeer, id: *const u8, len: usize) -> c_int;
    fn peer_key(it: *mut RawPeer, key: *const u8);
    fn peer_now(it: *mut RawPeer, now: u64);
    fn peer_deadline(it: *const RawPeer) -> u64;
    fn peer_put(it: *mut RawPeer, datagram: *const u8, len: usize);
    fn peer_take(it: *mut RawPeer, datagram: *mut u8, room: usize) -> usize;
    fn peer_handshake(it: *mut RawPeer) -> c_int;
    fn peer_read(it: *mut RawPeer, data: *mut u8, room: usize, len: *mut usize) -> c_int;
    fn peer_write(it: *mut RawPeer, data: *const u8, len: usize) -> c_int;
    fn peer_close(it: *mut RawPeer);
}

/// What a step of a connection came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    Done,
    /// For a datagram or a moment.
    Waits,
    /// A hello without its cookie was answered.
    HelloVerify,
    ClosedByPeer,
    Failed,
}

impl From<c_int> for Outcome {
    fn from(outcome: c_int) -> Self {
        match outcome {
            0 => Self::Done,
            1 => Self::Waits,
            2 => Self::HelloVerify,
            3 => Self::ClosedByPeer,
            _ => Self::Failed,
        }
    }
}

/// The key of all cookies of a server.
pub(crate) struct Cookies(NonNull<RawCookies>);

impl Cookies {
    /// `None` without memory or randomness.
    pub(crate) fn new() -> Option<Self> {
        // SAFETY: it takes nothing, and null is dealt with.
        NonNull::new(unsafe { cookies_new() }).map(Self)
    }
}

impl Drop for Cookies {
    fn drop(&mut self) {
        // SAFETY: it is from `cookies_new`, and the peers that use it hold it, so that none is left.
        unsafe { cookies_free(self.0.as_ptr()) }
    }
}

/// A connection.
pub(crate) struct Peer {
    raw: NonNull<RawPeer>,
    /// What the C looks at: it must not go before `raw`.
    _cookies: Option<Rc<Cookies>>,
    _suites: Box<[c_int]>,
    incoming: Vec<u8>,
}

impl Peer {
    /// A server with cookies, a client without. `None` without memory or randomness, or with too long an id.
    pub(crate) fn new(
        cookies: Option<Rc<Cookies>>,
        suites: &[u16],
        id: Option<&[u8]>,
    ) -> Option<Self> {
        let end = std::iter::once(0);
        let suites: Box<[_]> = suites.iter().copied().map(c_int::from).chain(end).collect();
        let raw_cookies = cookies.as_ref().map_or(ptr::null_mut(), |it| it.0.as_ptr());
        let (id, id_len) = match id {
            Some(id) => (id.as_ptr(), c_int::try_from(id.len()).ok()?),
            None => (ptr::null(), -1),
        };
        // SAFETY: the cookies and the suites, which end with 0, are kept below for as long as the peer lives; the id is read
        // now, `id_len` bytes of it.
        let raw = NonNull::new(unsafe { peer_new(raw_cookies, suites.as_ptr(), id, id_len) })?;
        Some(Self {
            raw,
            _cookies: cookies,
            _suites: suites,
            incoming: Vec::new(),
        })
    }

    /// Names a client; whether there is room for it.
    pub(crate) fn identify(&mut self, identity: &[u8], key: &PskKey) -> bool {
        let (at, len) = (identity.as_ptr(), identity.len());
        // SAFETY: both are copied, and a key has the 16 bytes that are read.
        unsafe { peer_identity(self.raw.as_ptr(), at, len, key.expose().as_ptr()) == 0 }
    }

    /// Says whom a server's cookies are for.
    pub(crate) fn bind_cookie(&mut self, id: &[u8]) -> bool {
        // SAFETY: it is copied.
        unsafe { peer_transport_id(self.raw.as_ptr(), id.as_ptr(), id.len()) == 0 }
    }

    /// Says which key a server's client should have.
    pub(crate) fn provide_key(&mut self, key: &PskKey) {
        // SAFETY: a key has the 16 bytes that are copied.
        unsafe { peer_key(self.raw.as_ptr(), key.expose().as_ptr()) }
    }

    /// Says what time it is, in milliseconds.
    pub(crate) fn set_now(&mut self, now: u64) {
        // SAFETY: the pointer is good for as long as `self`.
        unsafe { peer_now(self.raw.as_ptr(), now) }
    }

    /// When the next retransmission is due, in milliseconds.
    pub(crate) fn deadline(&self) -> Option<u64> {
        // SAFETY: the pointer is good for as long as `self`.
        let deadline = unsafe { peer_deadline(self.raw.as_ptr()) };
        (deadline != u64::MAX).then_some(deadline)
    }

    /// Lays down the datagram that is read next.
    pub(crate) fn put(&mut self, datagram: &[u8]) {
        self.incoming = datagram.to_vec();
        // SAFETY: it is ours and stays where it is until the next one is laid down, or the peer, which does not look any more
        // then, is freed.
        unsafe {
            peer_put(
                self.raw.as_ptr(),
                self.incoming.as_ptr(),
                self.incoming.len(),
            );
        }
    }

    /// Everything that is to be sent.
    pub(crate) fn take(&mut self) -> Vec<Vec<u8>> {
        let mut taken = Vec::new();
        loop {
            let mut datagram = vec![0; MAX_DATAGRAM];
            // SAFETY: there is as much room as it says.
            let len =
                unsafe { peer_take(self.raw.as_ptr(), datagram.as_mut_ptr(), datagram.len()) };
            if len == 0 {
                return taken;
            }
            datagram.truncate(len);
            taken.push(datagram);
        }
    }

    /// Goes on with the handshake.
    pub(crate) fn handshake(&mut self) -> Outcome {
        // SAFETY: the pointer is good for as long as `self`, and what it reads was laid down by `put`.
        unsafe { peer_handshake(self.raw.as_ptr()) }.into()
    }

    /// Reads the plaintext of a record.
    pub(crate) fn read(&mut self) -> Result<Vec<u8>, Outcome> {
        let mut data = vec![0; MAX_PLAINTEXT];
        let mut len = 0;
        // SAFETY: as for `handshake`; there is as much room as it says, and `len` is ours.
        let outcome = unsafe {
            peer_read(
                self.raw.as_ptr(),
                data.as_mut_ptr(),
                data.len(),
                &raw mut len,
            )
        };
        match outcome.into() {
            Outcome::Done => {
                data.truncate(len);
                Ok(data)
            }
            other => Err(other),
        }
    }

    /// Seals `data` as one record.
    pub(crate) fn write(&mut self, data: &[u8]) -> Outcome {
        // SAFETY: the pointer is good for as long as `self`, and the data is read before it returns.
        unsafe { peer_write(self.raw.as_ptr(), data.as_ptr(), data.len()) }.into()
    }

    /// Says to the peer that this is the end.
    pub(crate) fn close(&mut self) {
        // SAFETY: the pointer is good for as long as `self`.
        unsafe { peer_close(self.raw.as_ptr()) }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // SAFETY: it is from `peer_new`, and nobody else has it.
        unsafe { peer_free(self.raw.as_ptr()) }
    }
}

impl fmt::Debug for Cookies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cookies(..)")
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Peer(..)")
    }
}
