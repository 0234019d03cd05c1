//! The commands for client-side clouds: who they are, what users let them do, and the keys of their tokens.

use std::path::PathBuf;

use clap::Subcommand;

use super::ConfigFile;
use crate::keys::Kind;

#[derive(Debug, Subcommand)]
pub(crate) enum Client {
    /// Register a client-side cloud; prints its id and, this once, its secret.
    Add {
        /// What users see on the consent page.
        name: String,
        /// A complete redirect URI; may be given several times.
        #[arg(long = "redirect-uri", required_unless_present_any = ["programme", "device_flow"])]
        redirect_uris: Vec<String>,
        /// A client that cannot keep a secret.
        #[arg(long)]
        public: bool,
        /// A file with the JWK of a public key, with `alg`, by which it proves who it is (RFC 7523); it gets no secret then. May be
        /// given several times.
        #[arg(long = "key", value_name = "FILE", conflicts_with_all = ["public", "programme"])]
        keys: Vec<PathBuf>,
        /// The programme that it is a client of, by which the rest is known: aws, alexa, google, smartthings, uci.
        #[arg(long, conflicts_with_all = ["redirect_uris", "public"])]
        programme: Option<String>,
        /// What its redirect URIs have of their own: the vendor id for alexa, the project id for google, nothing for
        /// smartthings, the whole URI for aws and uci.
        #[arg(long, requires = "programme", default_value = "")]
        own: String,
        /// It has to push its authorization requests (RFC 9126).
        #[arg(long)]
        require_pushed_requests: bool,
        /// All its access tokens are bound to a key of its own (RFC 9449).
        #[arg(long)]
        dpop_bound: bool,
        /// It may ask for codes for devices without a browser, which a person types in at `/device` (RFC 8628).
        #[arg(long)]
        device_flow: bool,
        /// An API beside this cloud's that it may ask tokens for, one of `linking.resources`; may be given several times.
        #[arg(long = "resource", value_name = "URI")]
        resources: Vec<String>,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Add another key to a client that has keys; the others stay good.
    AddKey {
        /// The client's id.
        client: String,
        /// A file with the JWK of the public key.
        key: PathBuf,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// End all keys of a client but the newest.
    RetireKeys {
        /// The client's id.
        client: String,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Add another secret to a client that has secrets; the others stay good. Prints it, this once.
    AddSecret {
        /// The client's id.
        client: String,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// End all secrets of a client but the newest.
    RetireSecrets {
        /// The client's id.
        client: String,
        #[command(flatten)]
        file: ConfigFile,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Grant {
    /// List the consents of a user, a line each.
    List {
        /// The user's name.
        user: String,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// End a consent: its tokens open nothing any more, and its subscriptions are cancelled.
    End {
        /// The user's name.
        user: String,
        /// The consent, as the list names it; such a name may begin with a hyphen.
        #[arg(allow_hyphen_values = true)]
        grant: String,
        #[command(flatten)]
        file: ConfigFile,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// List the keys, a line each, with how many links have a token of it.
    List {
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Make a key. It makes the tokens from now on; those of the keys before stay good.
    Add {
        /// What the key is for.
        kind: Kind,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Take away a key for good, when no token of it is good any more.
    Retire {
        /// What the key is for.
        kind: Kind,
        /// Its number, as the list says.
        number: u8,
        /// Also when tokens of it are good: they open nothing from now on, and links that have one are lost.
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        file: ConfigFile,
    },
}
