//! A bootstrap server for devices that speak MQTT, with a fixed table and nothing that lasts:
//!
//! ```text
//! mqtt-bootstrap LISTEN CERTIFICATE.pem KEY.pem TABLE.toml
//! ```
//!
//! The table is read again for each device that comes, so a policy that changes holds at once. It ends on SIGTERM and SIGINT.

mod judge;
mod table;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use example_support::{Error, told_to_stop};
use mqtt_bootstrap::{Door, Figures, Settings};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tracing::{error, info};
use tracing_subscriber::EnvFilter;

use judge::Judge;
use table::Table;

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(
            EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info")),
        )
        .init();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!(error = error.chain(), "the server ended");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, certificate, key, table] = arguments.as_slice() else {
        return Err(Error::plain(
            "usage: mqtt-bootstrap LISTEN CERTIFICATE.pem KEY.pem TABLE.toml",
        ));
    };
    let table = PathBuf::from(table);
    Table::read(&table).await?;
    let (_settings, tls) = watch::channel(server_config(certificate.as_ref(), key.as_ref())?);
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|cause| Error::new(format!("cannot listen on {listen}"), cause))?;
    let address = listener
        .local_addr()
        .map_err(|cause| Error::new("the listener has no address", cause))?;
    let door = Door::new(
        listener,
        Settings::default(),
        tls,
        Judge::new(table),
        Arc::new(Log),
    );
    let (stop, stopping) = watch::channel(false);
    let mut serving = tokio::spawn(door.run(stopping));
    info!(%address, "devices may come");
    tokio::select! {
        () = told_to_stop() => {}
        ended = &mut serving => return ended.map_err(|cause| Error::new("the door broke", cause))?,
    }
    stop.send_replace(true);
    serving
        .await
        .map_err(|cause| Error::new("the door broke", cause))?
}

/// Figures as lines of the log.
#[derive(Debug)]
struct Log;

impl Figures for Log {
    fn ended(&self, cause: &'static str) {
        info!(cause, "a connection ended");
    }

    fn answered(&self, outcome: &'static str, took: Duration) {
        let micros = took.as_micros();
        info!(outcome, micros, "a device was answered");
    }
}

fn server_config(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, Error> {
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|cause| Error::new(format!("cannot use {}", certificate.display()), cause))?;
    let key = PrivateKeyDer::from_pem_file(key)
        .map_err(|cause| Error::new(format!("cannot use {}", key.display()), cause))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|cause| Error::new("TLS cannot be set up", cause))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|cause| Error::new("certificate and key do not fit", cause))?;
    Ok(Arc::new(config))
}
