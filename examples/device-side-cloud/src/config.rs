//! The configuration file: TOML, every key documented in the sample that `init` writes.

mod doors;
mod provisioning;

use std::num::{NonZeroU32, NonZeroU64};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::Error;
pub(crate) use doors::{Coaps, Https, Lwm2m, Monitoring, Mqtt};
pub(crate) use provisioning::{
    Provisioning, ProvisioningFunction, ProvisioningInstance, ProvisioningOperator,
};

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
    /// Devices that ask where they belong.
    #[serde(default)]
    pub(crate) provisioning: Provisioning,
    /// Devices that ask so over MQTT.
    #[serde(default)]
    pub(crate) mqtt: Mqtt,
    /// The bootstrap server for LwM2M devices.
    #[serde(default)]
    pub(crate) lwm2m: Lwm2m,
    /// Notifications.
    #[serde(default)]
    pub(crate) notifications: Notifications,
    /// Access tokens and links.
    #[serde(default)]
    pub(crate) linking: Linking,
    /// How much of the cloud one client-side cloud may take.
    #[serde(default)]
    pub(crate) quotas: Quotas,
    /// Health and figures; absent: they are not served.
    pub(crate) monitoring: Option<Monitoring>,
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
    /// Within which time every page answers, if only with 503, in seconds.
    pub(crate) answer_within_seconds: NonZeroU64,
    /// The same of what clients ask, in milliseconds.
    pub(crate) answer_clients_within_milliseconds: NonZeroU64,
    /// Whether every client has to push its authorization requests.
    pub(crate) require_pushed_requests: bool,
    /// For how long a nonce of a proof is good, in seconds; absent: none is demanded.
    pub(crate) dpop_nonce_seconds: Option<NonZeroU64>,
    /// APIs beside this cloud's that tokens are given out for, by URI.
    pub(crate) resources: Vec<String>,
    /// Pages, words and style that take the place of this program's, those of them that are in the folder.
    pub(crate) pages_dir: Option<PathBuf>,
}

impl Default for Linking {
    fn default() -> Self {
        Self {
            access_token_seconds: 3600,
            answer_within_seconds: NonZeroU64::MIN.saturating_add(9),
            answer_clients_within_milliseconds: NonZeroU64::MIN.saturating_add(1999),
            require_pushed_requests: false,
            dpop_nonce_seconds: None,
            resources: Vec::new(),
            pages_dir: None,
        }
    }
}

/// What one client-side cloud may take; over it, it gets 429.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Quotas {
    /// Requests in a minute, over all its users; absent: no bound.
    pub(crate) requests_per_minute: Option<NonZeroU32>,
    /// Bytes of request bodies in a minute, over all its users; absent: no bound.
    pub(crate) body_bytes_per_minute: Option<NonZeroU64>,
    /// Requests without an answer at once.
    pub(crate) requests_in_flight: usize,
    /// Subscriptions in one user's account.
    pub(crate) subscriptions_per_user: usize,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            requests_per_minute: None,
            body_bytes_per_minute: None,
            requests_in_flight: 1024,
            subscriptions_per_user: 1024,
        }
    }
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
            .chain(&mut config.linking.pages_dir)
            .chain(&mut config.provisioning.geography)
        {
            join(path);
        }
        for instance in &mut config.provisioning.instances {
            join(&mut instance.token_file);
            join(&mut instance.key_file);
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
        if config.mqtt.listen.is_some() && !config.provisioning.enabled {
            return Err(Error::plain(
                "mqtt.listen needs provisioning.enabled = true: there is nothing else to ask over MQTT",
            ));
        }
        if config.quotas.requests_in_flight == 0 || config.quotas.subscriptions_per_user == 0 {
            return Err(Error::plain("a quota of 0 would refuse everything"));
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

    /// The keys that a section may have, or the file's top level: serde names them when it refuses another one.
    fn keys_of(section: &str) -> Vec<String> {
        let header = format!("[{section}]\n");
        let text = match section {
            "" => format!("unknown = 0\n{SAMPLE}"),
            _ => SAMPLE.replace(&header, &format!("{header}unknown = 0\n")),
        };
        let refusal = Config::parse(&text).expect_err("unknown key").chain();
        let (_, expected) = refusal.split_once("expected").expect("expected keys");
        let keys = expected.split('`').skip(1).step_by(2);
        keys.map(str::to_owned).collect()
    }

    #[test]
    fn the_sample_documents_every_key() {
        let mut sections = vec![String::new()];
        let mut documented = Vec::new();
        while let Some(section) = sections.pop() {
            let body = match section.as_str() {
                "" => SAMPLE,
                _ => {
                    SAMPLE
                        .split_once(&format!("[{section}]\n"))
                        .expect("section")
                        .1
                }
            };
            let body = body.split("\n[").next().expect("body");
            for key in keys_of(&section) {
                if SAMPLE.contains(&format!("\n[{key}]\n")) {
                    sections.push(key);
                    continue;
                }
                let lines: Vec<_> = body.lines().collect();
                let line = format!("{key} = ");
                let is_key = |text: &&str| text.trim_start_matches("# ").starts_with(&line);
                let at = lines.iter().position(is_key);
                let before = at.and_then(|at| lines.get(at.checked_sub(1)?));
                assert!(
                    before.is_some_and(|before| before.starts_with("# ")),
                    "{section}.{key} is not documented"
                );
                documented.push(key);
            }
        }
        assert!(documented.len() >= 20, "only {documented:?} were found");
    }

    #[test]
    fn the_sample_shows_the_defaults() {
        let shortest = r#"
            data_dir = "data"
            key_dir = "keys"
            https = { listen = "127.0.0.1:8443", public_url = "https://localhost:8443" }
            coaps = { listen = "127.0.0.1:5684" }
            monitoring = { listen = "127.0.0.1:9464" }
        "#;
        let [shortest, sample] = [shortest, SAMPLE].map(|text| Config::parse(text).expect("sound"));
        assert_eq!(format!("{shortest:?}"), format!("{sample:?}"));
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
    fn sessions_are_divided_among_at_least_one_shard() {
        let coaps = |shards: &str| {
            let text = SAMPLE.replace("\nshards = 1\n", &format!("\nshards = {shards}\n"));
            Config::parse(&text).map(|config| config.coaps)
        };
        for (shards, each) in [("1", 10_000), ("3", 3_334), ("4", 2_500)] {
            let coaps = coaps(shards).expect("sound");
            assert_eq!(coaps.sessions_of_a_shard(), each, "{shards}");
            assert_eq!(coaps.has_several_shards(), shards != "1");
        }
        for bad in ["0", "256", "-1"] {
            assert!(coaps(bad).is_err(), "{bad}");
        }
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
