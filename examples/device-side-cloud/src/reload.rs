//! Certificates that change while the cloud runs: new connections get the new one, open ones go on with theirs.
//!
//! The files are read again on SIGHUP and when their content changes. One that cannot be used changes nothing but the log.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use sha2::{Digest as _, Sha256};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tracing::{error, info};

use crate::certificates::server_config;
use crate::error::Error;
use crate::monitor::Metrics;

/// How often the files are looked at.
const EVERY: Duration = Duration::from_secs(10);

/// The files of a certificate chain and its key.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    pub(crate) certificate: PathBuf,
    pub(crate) private_key: PathBuf,
}

impl Files {
    fn read(&self) -> Result<Arc<ServerConfig>, Error> {
        server_config(&self.certificate, &self.private_key)
    }

    /// Tells one content from another; files that cannot be read are a content, too.
    fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        for path in [&self.certificate, &self.private_key] {
            let content = std::fs::read(path).map(zeroize::Zeroizing::new).ok();
            digest.update([u8::from(content.is_some())]);
            digest.update(Sha256::digest(content.as_deref().unwrap_or(&Vec::new())));
        }
        digest.finalize().into()
    }
}

/// Keeps TLS settings in step with their files.
#[derive(Debug)]
pub(crate) struct Reloader {
    files: Files,
    digest: [u8; 32],
    settings: watch::Sender<Arc<ServerConfig>>,
    metrics: Arc<Metrics>,
}

impl Reloader {
    /// Reads the files; the receiver always holds the settings that a new connection gets.
    ///
    /// # Errors
    /// They cannot be used.
    pub(crate) fn start(
        files: Files,
        metrics: Arc<Metrics>,
    ) -> Result<(Self, watch::Receiver<Arc<ServerConfig>>), Error> {
        // The digest first: a change between the two is found at the next look.
        let digest = files.digest();
        let (settings, receiver) = watch::channel(files.read()?);
        let reloader = Self {
            files,
            digest,
            settings,
            metrics,
        };
        Ok((reloader, receiver))
    }

    /// Looks at the files for as long as the program runs.
    ///
    /// # Errors
    /// The system lets the program not hear SIGHUP.
    pub(crate) async fn run(mut self) -> Result<(), Error> {
        let mut hangups = signal(SignalKind::hangup())
            .map_err(|cause| Error::new("cannot listen for SIGHUP", cause))?;
        let mut looks = tokio::time::interval(EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let told = tokio::select! {
                _ = hangups.recv() => true,
                _ = looks.tick() => false,
            };
            // A file system may take its time.
            self = tokio::task::spawn_blocking(move || {
                self.look(told);
                self
            })
            .await
            .map_err(|cause| Error::new("looking at the certificates broke", cause))?;
        }
    }

    /// Takes the files' content over when it changed, or when told to.
    fn look(&mut self, told: bool) {
        let digest = self.files.digest();
        if digest == self.digest && !told {
            return;
        }
        self.digest = digest;
        let read = self.files.read();
        self.metrics.certificate_reloaded(read.is_ok());
        match read {
            Ok(settings) => {
                self.settings.send_replace(settings);
                info!("certificate and key were read again; new connections get them");
            }
            Err(error) => error!(
                error = error.chain(),
                "certificate and key cannot be used; the former ones stay"
            ),
        }
    }
}

#[cfg(test)]
mod tests;
