use std::future::Future;
use std::time::SystemTime;

use bytes::Bytes;

use crate::secret::Password;
use crate::server::access_token::Algorithm;
use crate::server::dpop::ProofKey;
use crate::server::output::Event;
use crate::stream::{Append, Appended, Loaded, Snapshot};
use crate::user_id::UserId;

/// What the machine needs from outside. A future that is dropped must not have half an effect.
pub trait Outside: Send + Sync + 'static {
    /// The wall clock.
    fn wall(&self) -> SystemTime;

    /// 32 fresh bytes of the operating system's entropy; `None` when it has none, and then the request is answered with 503.
    fn entropy(&self) -> Option<[u8; 32]>;

    /// Whose name and password these are. Takes as long for an unknown name as for a wrong password.
    fn verify_password(
        &self,
        user_name: String,
        password: Password,
    ) -> impl Future<Output = Option<UserId>> + Send;

    /// Signs with the private half of a signing key, as [`Output::Sign`](crate::server::Output::Sign) says; `None` when that
    /// failed.
    fn sign(
        &self,
        key_id: String,
        algorithm: Algorithm,
        signing_input: Bytes,
    ) -> impl Future<Output = Option<Vec<u8>>> + Send;

    /// Whether a signing key made this signature.
    fn verify(
        &self,
        key_id: String,
        algorithm: Algorithm,
        signing_input: Bytes,
        signature: Bytes,
    ) -> impl Future<Output = bool> + Send;

    /// Whether the key that came in a proof of possession made this signature, as
    /// [`Output::VerifyProof`](crate::server::Output::VerifyProof) says.
    ///
    /// Asked only where [`Dpop`](crate::server::Dpop) is offered; what does not offer it need not answer, and says no.
    fn verify_proof(
        &self,
        key: ProofKey,
        algorithm: Algorithm,
        signing_input: Bytes,
        signature: Bytes,
    ) -> impl Future<Output = bool> + Send {
        let _ = (key, algorithm, signing_input, signature);
        core::future::ready(false)
    }

    /// Reads a stream; `None` when that failed.
    fn load(&self, stream: String) -> impl Future<Output = Option<Loaded>> + Send;

    /// Appends to streams.
    fn append(&self, append: Append) -> impl Future<Output = Appended> + Send;

    /// Saves a snapshot; one that is lost does no harm.
    fn save_snapshot(&self, stream: String, snapshot: Snapshot) -> impl Future<Output = ()> + Send;

    /// Takes note of an event that answers no command. Must not block.
    ///
    /// [`Event::GrantEnded`] comes again with every
    /// [`wake`](crate::server::AuthorizationServer::wake) until
    /// [`settle_grant_end`](crate::server::AuthorizationServer::settle_grant_end) was done.
    fn note(&self, event: Event);
}
