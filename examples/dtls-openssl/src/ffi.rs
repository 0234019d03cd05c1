//! What the safe `openssl` crate does not offer of DTLS: its timers, and the answer to a ClientHello without state.
#![expect(unsafe_code, reason = "OpenSSL is C; each block says why it is sound")]

use std::ffi::{c_int, c_long};
use std::ptr;
use std::time::Duration;

use foreign_types::ForeignTypeRef;
use libc::timeval;
use openssl::error::ErrorStack;
use openssl::ssl::{SslRef, SslStream};
use openssl_sys::{SSL, SSL_ctrl};

use crate::wire::Wire;

/// `DTLS_CTRL_GET_TIMEOUT` of `openssl/ssl.h`, behind the macro `DTLSv1_get_timeout`.
const GET_TIMEOUT: c_int = 73;
/// `DTLS_CTRL_HANDLE_TIMEOUT` of `openssl/ssl.h`, behind the macro `DTLSv1_handle_timeout`.
const HANDLE_TIMEOUT: c_int = 74;

/// `BIO_ADDR` of `openssl/bio.h`, which only OpenSSL looks into.
#[repr(C)]
struct Address {
    _opaque: [u8; 0],
}

unsafe extern "C" {
    fn DTLSv1_listen(ssl: *mut SSL, client: *mut Address) -> c_int;
    fn BIO_ADDR_new() -> *mut Address;
    fn BIO_ADDR_free(address: *mut Address);
}

/// Lets a server's connection that is in no handshake answer the ClientHello that waits in its wire. True when that one
/// brought its cookie back: the connection is in a handshake then. Otherwise it holds nothing of it.
pub(crate) fn listen(stream: &mut SslStream<Wire>) -> bool {
    // SAFETY: it takes nothing, and null is dealt with below.
    let address = unsafe { BIO_ADDR_new() };
    if address.is_null() {
        return false;
    }
    // SAFETY: the SSL is that of a stream which we hold alone, and its BIO is the stream's, which reads and writes our wire.
    // The address is the one just made; OpenSSL only writes to it.
    let answer = unsafe { DTLSv1_listen(stream.ssl().as_ptr(), address) };
    // SAFETY: it was made above, and nobody else has it.
    unsafe { BIO_ADDR_free(address) };
    // What was wrong with a hello is of no interest, and must not be taken for an error of the next call.
    drop(ErrorStack::get());
    answer == 1
}

/// How long until the connection wants [`handle_timeout`]; `None` when it waits for nothing.
pub(crate) fn timeout<S>(stream: &mut SslStream<S>) -> Option<Duration> {
    let mut left = timeval {
        tv_sec: 0,
        tv_usec: 0,
    };
    let pointer = ptr::from_mut(&mut left).cast();
    if control(stream.ssl(), GET_TIMEOUT, pointer) != 1 {
        return None;
    }
    let seconds = u64::try_from(left.tv_sec).ok()?;
    let micros = u64::try_from(left.tv_usec).ok()?;
    Some(Duration::from_secs(seconds).saturating_add(Duration::from_micros(micros)))
}

/// Sends the last flight again, if it is time.
///
/// # Errors
/// The peer did not answer to so many of them that OpenSSL gives up.
pub(crate) fn handle_timeout<S>(stream: &mut SslStream<S>) -> Result<(), ErrorStack> {
    match control(stream.ssl(), HANDLE_TIMEOUT, ptr::null_mut()) {
        0 | 1 => Ok(()),
        _ => Err(ErrorStack::get()),
    }
}

/// One of the two commands above, with a pointer to a `timeval` for the first and null for the second. The stream that the
/// `SslRef` belongs to is borrowed by the caller alone.
fn control(ssl: &SslRef, command: c_int, pointer: *mut libc::c_void) -> c_long {
    // SAFETY: the SSL lives as long as its reference. GET_TIMEOUT writes one timeval to the pointer, which is ours and lives;
    // HANDLE_TIMEOUT does not look at it.
    unsafe { SSL_ctrl(ssl.as_ptr(), command, 0, pointer) }
}
