//! The commands for certificates.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::ConfigFile;

/// An authority of a tenant.
#[derive(Args, Debug)]
pub(crate) struct Named {
    /// The tenant.
    pub(crate) tenant: String,
    /// The authority's id.
    pub(crate) ca: String,
    #[command(flatten)]
    pub(crate) file: ConfigFile,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Authority {
    /// Upload an authority; it is of no use until its key is proved.
    Upload {
        #[command(flatten)]
        named: Named,
        /// Its certificate, PEM.
        pem: PathBuf,
        /// A name for people; the id when absent.
        #[arg(long)]
        name: Option<String>,
    },
    /// Put another certificate in the place of its own; the key has to be proved again.
    Replace {
        #[command(flatten)]
        named: Named,
        /// The certificate, PEM.
        pem: PathBuf,
    },
    /// Print a code; sign a certificate that has it as its common name, and give that to `verify`.
    Code(Named),
    /// Prove that the authority's key is yours.
    Verify {
        #[command(flatten)]
        named: Named,
        /// The certificate with the code, PEM.
        pem: PathBuf,
    },
    /// Print where an authority stands.
    Show(Named),
    /// Whether devices are still taken after its end.
    AcceptExpired {
        #[command(flatten)]
        named: Named,
        #[arg(action = clap::ArgAction::Set)]
        accept: bool,
    },
    /// Refuse a certificate below it.
    Deny {
        #[command(flatten)]
        named: Named,
        /// Its fingerprint, or its serial number where the authority issued it, in hexadecimal digits.
        certificate: String,
    },
    /// Refuse it no more.
    Allow {
        #[command(flatten)]
        named: Named,
        /// As with `deny`.
        certificate: String,
    },
    /// Take it out of use.
    Revoke(Named),
    /// Delete it, if nothing refers to it.
    Delete(Named),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Certificate {
    /// Make an authority of the tenant's own, which signs from now on; prints its certificate.
    Issuer {
        tenant: String,
        /// Its id, never used before.
        issuer: String,
        /// How long it is valid.
        #[arg(long, default_value_t = 3650)]
        days: u32,
        /// Where its certificate is written, PEM.
        #[arg(long)]
        out: PathBuf,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Make or change a profile.
    Profile {
        tenant: String,
        profile: String,
        /// For how long certificates are valid.
        #[arg(long)]
        days: u32,
        /// Answer a request for another name, or for an authority, with the device's own certificate, and do not refuse it.
        #[arg(long)]
        overwrite: bool,
        /// Certificates are active at once, without a token.
        #[arg(long)]
        immediate: bool,
        /// Take RSA keys, too.
        #[arg(long)]
        rsa: bool,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Issue a certificate to a device.
    Issue {
        tenant: String,
        /// The device's registration id, the subject of the certificate.
        device: String,
        #[arg(long)]
        profile: String,
        /// The device's request, PEM.
        #[arg(long, required_unless_present = "private_key")]
        request: Option<PathBuf>,
        /// Have the cloud make the key, and write it here, this once.
        #[arg(long, conflicts_with = "request")]
        private_key: Option<PathBuf>,
        /// Where the certificate and its issuer's are written, PEM.
        #[arg(long)]
        out: PathBuf,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Make a certificate active; its token is read from standard input.
    Activate {
        tenant: String,
        device: String,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Take a certificate out of use for ever.
    Revoke {
        tenant: String,
        /// Its serial number, in hexadecimal digits.
        serial: String,
        #[arg(long, value_enum, default_value_t = Reason::Unspecified)]
        reason: Reason,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// List the certificates of a device.
    Show {
        tenant: String,
        device: String,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Say to which device a certificate belongs, if it may be used.
    Judge {
        tenant: String,
        /// The certificate, PEM.
        pem: PathBuf,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Say below which authority a chain is, if it may be used.
    Check {
        tenant: String,
        /// The device's certificate and the intermediate ones, PEM.
        pem: PathBuf,
        #[command(flatten)]
        file: ConfigFile,
    },
}

/// Why a certificate is revoked.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Reason {
    Unspecified,
    KeyCompromise,
    AffiliationChanged,
    CessationOfOperation,
    PrivilegeWithdrawn,
}
