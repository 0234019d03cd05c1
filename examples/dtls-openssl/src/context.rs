//! How all connections of an engine are set up.

use std::fmt;
use std::sync::Arc;

use coap_psk::CipherSuite;
use openssl::error::ErrorStack;
use openssl::ex_data::Index;
use openssl::rand::rand_bytes;
use openssl::ssl::{
    Ssl, SslContext, SslContextBuilder, SslMethod, SslOptions, SslRef, SslSessionCacheMode,
    SslStream, SslVersion, cipher_name,
};

use crate::cookie::Cookies;
use crate::slot::Slot;
use crate::wire::Wire;

/// The bytes of a handshake datagram at most.
const MTU: u32 = 1_200;
/// The bytes of a pre-shared key.
const KEY_LEN: usize = 16;

pub(crate) struct Context {
    context: SslContext,
    slots: Index<Ssl, Slot>,
}

impl Context {
    pub(crate) fn new(suites: &[CipherSuite]) -> Result<Self, ErrorStack> {
        let slots = Ssl::new_ex_index()?;
        let mut builder = SslContext::builder(SslMethod::dtls())?;
        builder.set_min_proto_version(Some(SslVersion::DTLS1_2))?;
        builder.set_max_proto_version(Some(SslVersion::DTLS1_2))?;
        // Newer releases do not count a tag of eight bytes as security at all. It is for this context alone.
        builder.set_security_level(0);
        let names: Vec<_> = suites
            .iter()
            .map(|suite| cipher_name(suite.name()))
            .collect();
        builder.set_cipher_list(&names.join(":"))?;
        builder.set_session_cache_mode(SslSessionCacheMode::OFF);
        builder.set_options(
            // Some clients prefer CBC.
            SslOptions::CIPHER_SERVER_PREFERENCE
                | SslOptions::NO_COMPRESSION
                | SslOptions::NO_QUERY_MTU
                | SslOptions::NO_RENEGOTIATION
                | SslOptions::NO_TICKET,
        );
        give_keys(&mut builder, slots);
        give_cookies(&mut builder, slots, Cookies::new()?);
        let context = builder.build();
        Ok(Self { context, slots })
    }

    pub(crate) fn server(&self, slot: &Slot) -> Result<SslStream<Wire>, ErrorStack> {
        let mut ssl = self.ssl(slot)?;
        ssl.set_accept_state();
        SslStream::new(ssl, Wire::default())
    }

    pub(crate) fn client(&self, slot: &Slot) -> Result<SslStream<Wire>, ErrorStack> {
        let mut ssl = self.ssl(slot)?;
        ssl.set_connect_state();
        SslStream::new(ssl, Wire::default())
    }

    fn ssl(&self, slot: &Slot) -> Result<Ssl, ErrorStack> {
        let mut ssl = Ssl::new(&self.context)?;
        ssl.set_mtu(MTU)?;
        ssl.set_ex_data(self.slots, slot.clone());
        Ok(ssl)
    }
}

/// Answers where the identity and the keys of connections are.
fn give_keys(builder: &mut SslContextBuilder, slots: Index<Ssl, Slot>) {
    // A callback that gives nothing fails its handshake.
    builder.set_psk_client_callback(move |ssl, _hint, identity, key| {
        let Some(slot) = ssl.ex_data(slots) else {
            return Ok(0);
        };
        let contents = slot.contents();
        // C wants a zero byte behind it.
        let room = identity.get_mut(..=contents.identity.len());
        let (Some(room), Some(known), Some(place)) =
            (room, &contents.key, key.first_chunk_mut::<KEY_LEN>())
        else {
            return Ok(0);
        };
        room.fill(0);
        for (byte, known) in room.iter_mut().zip(&contents.identity) {
            *byte = *known;
        }
        *place = *known.expose();
        Ok(KEY_LEN)
    });
    builder.set_psk_server_callback(move |ssl, _identity, key| {
        let (Some(slot), Some(place)) = (ssl.ex_data(slots), key.first_chunk_mut::<KEY_LEN>())
        else {
            return Ok(0);
        };
        match &slot.contents().key {
            Some(known) => *place = *known.expose(),
            // Nobody was asked: the identity came in a form that only OpenSSL reads. It fails as with a wrong key.
            None => rand_bytes(place)?,
        }
        Ok(KEY_LEN)
    });
}

fn give_cookies(builder: &mut SslContextBuilder, slots: Index<Ssl, Slot>, cookies: Cookies) {
    let cookies = Arc::new(cookies);
    let issuing = Arc::clone(&cookies);
    let greeting = move |ssl: &SslRef| ssl.ex_data(slots)?.contents().greeting;
    builder.set_cookie_generate_cb(move |ssl, place| {
        let Some(greeting) = greeting(ssl) else {
            return Ok(0);
        };
        let cookie = issuing.issue(&greeting)?;
        let place = place.iter_mut().zip(&cookie);
        Ok(place.map(|(byte, made)| *byte = *made).count())
    });
    builder.set_cookie_verify_cb(move |ssl, cookie| {
        greeting(ssl).is_some_and(|greeting| cookies.verify(&greeting, cookie))
    });
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Context(..)")
    }
}
