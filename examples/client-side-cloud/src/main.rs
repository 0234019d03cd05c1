//! A client-side cloud: links accounts at a device-side cloud, discovers and controls devices there, subscribes, and
//! receives notifications.

mod accounts;
mod clock;
mod config;
mod control;
mod failure;
mod linking;
mod notifications;
mod outside;
mod pages;
mod public;
mod sender;
mod serve;
mod sessions;
mod store;
mod tls;

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use account_linking::client::Event;
use clap::Parser as _;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsAcceptor;

use crate::accounts::{Accounts, Shared};
use crate::config::Args;
use crate::failure::Failure;
use crate::notifications::Notifications;
use crate::public::Public;
use crate::sender::Sender;
use crate::sessions::Sessions;
use crate::store::{Keys, Store};

fn main() -> ExitCode {
    let args = Args::parse();
    let filter =
        tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let ended = tokio::runtime::Runtime::new()
        .map_err(|error| Failure::of("no runtime", error))
        .and_then(|runtime| runtime.block_on(run(args)));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tracing::error!("{failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<(), Failure> {
    args.check()?;
    let (stop, stopping) = watch::channel(false);
    let acceptor = TlsAcceptor::from(Arc::new(tls::server(&args.certificate, &args.private_key)?));
    let sender = Sender::new(tls::client(&args.ca)?);
    let (https, listening) = bind(args.listen).await?;
    let (http, commanding) = bind(args.control).await?;
    let origin = args.origin(listening);

    let store = Arc::new(Store::open(&args.data)?);
    let keys = Keys(store::keyring(&args.keys)?);
    let (linking, events) =
        linking::start(args.clouds(&origin)?, &store, keys.clone(), sender.clone())?;
    let notifications = Notifications::open(&args.data)?;
    let shared = Shared {
        store,
        keys,
        sender,
        linking,
        notifications,
        api: args.api()?,
        origin: origin.clone(),
    };
    let accounts = Arc::new(Accounts::new(Arc::new(shared)));
    tokio::spawn(follow(Arc::clone(&accounts), events));
    accounts.open_all().await?;

    let public = Public {
        accounts: Arc::clone(&accounts),
        sessions: Sessions::default(),
        origin,
    };
    let world = tokio::spawn(serve::serve(
        https,
        Some(acceptor),
        public::router(Arc::new(public)),
        stopping.clone(),
    ));
    let people = tokio::spawn(serve::serve(
        http,
        None,
        control::router(accounts),
        stopping,
    ));
    say(&format!(
        "client-side-cloud commands on http://{commanding}"
    ))?;
    say(&format!(
        "client-side-cloud listening on https://{listening}"
    ))?;

    wait_for_the_end().await?;
    tracing::info!("stopping");
    stop.send_replace(true);
    // What was promised is durable already; only answers on their way are waited for.
    let _ = tokio::join!(world, people);
    Ok(())
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Failure> {
    let failure = |error| Failure::of(format!("cannot listen on {address}"), error);
    let listener = TcpListener::bind(address).await.map_err(failure)?;
    let bound = listener.local_addr().map_err(failure)?;
    Ok((listener, bound))
}

/// Opens accounts as they are linked, and tells the operator of the rest.
async fn follow(accounts: Arc<Accounts>, mut events: mpsc::Receiver<Event>) {
    while let Some(event) = events.recv().await {
        match event {
            Event::Linked {
                user, cloud, link, ..
            } => {
                tracing::info!(%user, %cloud, remote_user = link.remote_user, "linked");
                if let Err(error) = accounts.open(&user, cloud, link.id) {
                    tracing::error!(%user, %error, "the account cannot be used");
                }
            }
            Event::RelinkNeeded {
                user,
                cloud,
                reason,
            } => tracing::warn!(%user, %cloud, ?reason, "must be linked again"),
            Event::CloudMisconfigured { cloud, error } => {
                tracing::error!(%cloud, %error, "this program is refused there");
            }
            Event::TokensLost { user, cloud } => tracing::error!(%user, %cloud, "tokens are lost"),
            Event::RevocationAbandoned { user, cloud } => {
                tracing::error!(%user, %cloud, "tokens could not be revoked");
            }
            _ => {}
        }
    }
}

async fn wait_for_the_end() -> Result<(), Failure> {
    let failure = |error| Failure::of("signals cannot be awaited", error);
    let mut terminate = signal(SignalKind::terminate()).map_err(failure)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failure)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// A line for whoever started the program.
fn say(line: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .map_err(|error| Failure::of("cannot write to stdout", error))
}
