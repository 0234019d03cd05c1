//! The configuration file: TOML, every key documented in the sample that `init` writes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use url::Url;

use crate::error::Error;

/// The commented sample; what `init` writes is this text with the paths filled in.
pub(crate) const SAMPLE: &str = include_str!("../sample.toml");

/// The settings of one cloud. Unknown keys are refused, so that a typing error does not pass as a default.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Where the journal, certificates and the admin socket live.
    pub(crate) data_dir: PathBuf,
    /// The operator's master key and the data keys it wraps; must lie outside `data_dir`.
    pub(crate) key_dir: PathBuf,
    /// The HTTPS side.
    pub(crate) https: Https,
    /// The CoAP side.
    pub(crate) coaps: Coaps,
    /// Notifications.
    #[serde(default)]
    pub(crate) notifications: Notifications,
    /// Access tokens and links.
    #[serde(default)]
    pub(crate) linking: Linking,
    /// Health and figures; absent: they are not served.
    pub(crate) monitoring: Option<Monitoring>,
}

/// The HTTPS listener.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Https {
    /// Address and port.
    pub(crate) listen: SocketAddr,
    /// The name under which others reach it; also the issuer of tokens.
    pub(crate) public_url: Url,
    /// PEM certificate chain; absent: the development CA makes one.
    pub(crate) certificate: Option<PathBuf>,
    /// PEM private key of `certificate`.
    pub(crate) private_key: Option<PathBuf>,
    /// The largest request body in bytes.
    #[serde(default = "default_body")]
    pub(crate) max_body_bytes: usize,
    /// How many connections may be open at once.
    #[serde(default = "default_connections")]
    pub(crate) max_connections: usize,
}

/// The CoAP listener.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Coaps {
    /// Address and port of the DTLS listener.
    pub(crate) listen: SocketAddr,
    /// How many sessions may be open at once.
    #[serde(default = "default_sessions")]
    pub(crate) max_sessions: usize,
    /// How long a device may take to answer a request, in seconds.
    #[serde(default = "default_answer")]
    pub(crate) answer_seconds: u64,
}

/// How notifications leave.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Notifications {
    /// Events URLs on addresses that are not public (loopback, private ranges) are taken.
    pub(crate) allow_private_addresses: bool,
    /// PEM certificates trusted beside the development CA when notifications are posted.
    pub(crate) trusted_roots: Vec<PathBuf>,
    /// How long one delivery may take, in seconds.
    pub(crate) timeout_seconds: u64,
}

impl Default for Notifications {
    fn default() -> Self {
        Self {
            allow_private_addresses: false,
            trusted_roots: Vec::new(),
            timeout_seconds: 10,
        }
    }
}

/// Access tokens.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Linking {
    /// How long an access token lives, in seconds.
    pub(crate) access_token_seconds: u64,
}

impl Default for Linking {
    fn default() -> Self {
        Self {
            access_token_seconds: 3600,
        }
    }
}

/// The listener of the operator's tools.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Monitoring {
    /// Address and port of plain HTTP.
    pub(crate) listen: SocketAddr,
}

fn default_body() -> usize {
    256 * 1024
}

fn default_connections() -> usize {
    1024
}

fn default_sessions() -> usize {
    10_000
}

fn default_answer() -> u64 {
    10
}

impl Config {
    /// Reads and judges a configuration file; relative paths in it are taken from the file's folder.
    ///
    /// # Errors
    /// The file cannot be read, is not TOML, has an unknown or missing key, or a value that cannot be used.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|cause| {
            Error::new(
                format!(
                    "cannot read {} (`device-side-cloud init` writes a sample)",
                    path.display()
                ),
                cause,
            )
        })?;
        let mut config = Self::parse(&text).map_err(|cause| {
            Error::plain(format!(
                "{} is not usable: {}",
                path.display(),
                cause.chain()
            ))
        })?;
        let base = path.parent().unwrap_or_else(|| Path::new("."));
        let join = |path: &mut PathBuf| *path = base.join(&*path);
        join(&mut config.data_dir);
        join(&mut config.key_dir);
        for path in [&mut config.https.certificate, &mut config.https.private_key]
            .into_iter()
            .flatten()
            .chain(&mut config.notifications.trusted_roots)
        {
            join(path);
        }
        if config.key_dir.starts_with(&config.data_dir) {
            return Err(Error::plain(format!(
                "{}: key_dir must lie outside data_dir, or a copy of the data would carry the keys that seal it",
                path.display()
            )));
        }
        Ok(config)
    }

    fn parse(text: &str) -> Result<Self, Error> {
        let config: Self = toml::from_str(text).map_err(|cause| {
            // toml's own text quotes the line and points at the place.
            Error::plain(cause.to_string())
        })?;
        let url = &config.https.public_url;
        if url.scheme() != "https"
            || url.host_str().is_none()
            || url.path() != "/"
            || url.query().is_some()
            || url.fragment().is_some()
            || !url.username().is_empty()
        {
            return Err(Error::plain(format!(
                "https.public_url must be https://HOST[:PORT] and nothing more, and it is {url}"
            )));
        }
        if config.https.certificate.is_some() != config.https.private_key.is_some() {
            return Err(Error::plain(
                "https.certificate and https.private_key go together",
            ));
        }
        if config.coaps.answer_seconds == 0 || config.notifications.timeout_seconds == 0 {
            return Err(Error::plain(
                "a time limit of 0 seconds would fail everything",
            ));
        }
        if config.linking.access_token_seconds < 360 {
            return Err(Error::plain(
                "linking.access_token_seconds must be 360 or more: some platforms refuse to link below that",
            ));
        }
        Ok(config)
    }

    /// The issuer of access tokens: `https.public_url` without the closing slash.
    pub(crate) fn issuer(&self) -> String {
        self.https
            .public_url
            .as_str()
            .trim_end_matches('/')
            .to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_a_valid_configuration() {
        let config = Config::parse(SAMPLE).expect("sample");
        assert_eq!(config.issuer(), "https://localhost:8443");
        assert!(!config.notifications.allow_private_addresses);
    }

    #[test]
    fn a_broken_file_says_where() {
        let broken = SAMPLE.replace("listen = \"127.0.0.1:8443\"", "listen = 12");
        let text = Config::parse(&broken).expect_err("broken").chain();
        assert!(text.contains("listen"), "{text}");
        let unknown = format!("{SAMPLE}\nspeed = 9\n");
        assert!(
            Config::parse(&unknown)
                .expect_err("unknown key")
                .chain()
                .contains("speed")
        );
    }

    #[test]
    fn public_url_must_be_a_plain_https_origin() {
        for bad in [
            "http://localhost:8443",
            "https://localhost:8443/x",
            "https://u@h",
        ] {
            let text = SAMPLE.replace("https://localhost:8443", bad);
            assert!(Config::parse(&text).is_err(), "{bad}");
        }
    }
}
