//! OAuth 2.0 account linking as sans-IO machines and ledgers, authorization server and client role.

pub mod client;
pub mod error;
pub mod form;
pub mod pkce;
pub mod redirect_uri;
pub mod scope;
pub mod secret;
pub mod server;
pub mod stream;
pub mod user_id;

pub use error::{Error, ErrorKind, Fault};
pub use pkce::{PkceChallenge, PkceVerifier};
pub use redirect_uri::RedirectUri;
pub use scope::{Scope, ScopeSet};
pub use secret::{
    AccessToken, AuthorizationCode, ClientSecret, Password, RefreshToken, SecretBytes,
};
pub use stream::{Append, AppendId, Appended, Loaded, Snapshot, StreamAppend};
pub use user_id::UserId;
