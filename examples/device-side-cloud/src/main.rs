//! A device-side cloud that a person can run: the family composed into one program.
//!
//! ```text
//! devices ══ CoAP, DTLS-PSK ══▶ gateway ──▶ uci ──▶ HTTPS: Universal Cloud Interface, signed notifications
//!                                  │          ▲
//!                               products    linking: login, consent, tokens
//!                                  └──── store: journal on disk, sealed secrets ────┘
//! ```

mod admin;
mod args;
mod backup;
mod certificates;
mod certification;
mod clock;
mod commands;
mod config;
mod demo;
mod doors;
mod gateway;
mod https;
mod keys;
mod linking;
mod lwm2m;
mod monitor;
mod mqtt;
mod operator;
mod outbound;
mod pages;
mod products;
mod provisioning;
mod reload;
mod serve;
mod signing;
mod store;
mod uci;
mod users;

/// Failures in words.
pub(crate) use example_support as error;

use std::process::ExitCode;

use clap::Parser as _;
use tracing_subscriber::EnvFilter;

use crate::args::{Arguments, Command, LogFormat};
use crate::error::Error;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let log = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(
            EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info")),
        );
    match arguments.log_format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
    let result = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|cause| Error::new("the async runtime cannot start", cause))
        .and_then(|runtime| runtime.block_on(run(arguments.command)));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<(), Error> {
    match command {
        Command::Init { dir } => commands::init(&dir),
        Command::Serve(serve) => serve::run(&serve).await,
        Command::Demo { keep, dir, dtls } => demo::run(keep, dir, dtls).await,
        Command::Product(product) => commands::product(product).await,
        Command::Device(device) => commands::device(device).await,
        Command::User(user) => commands::user(user).await,
        Command::Client(client) => commands::client(client).await,
        Command::Grant(grant) => commands::grant(grant).await,
        Command::Provisioning(command) => commands::provisioning(command).await,
        Command::Key(key) => commands::key(key).await,
        Command::Authority(authority) => commands::authority(authority).await,
        Command::Certificate(certificate) => commands::certificate(certificate).await,
        Command::Backup { dir, file } => commands::backup(dir, &file).await,
        Command::Restore { dir, name, file } => commands::restore(&dir, name.as_deref(), &file),
    }
}

#[expect(
    clippy::print_stderr,
    reason = "the operator reads why a command failed"
)]
fn complain(error: &Error) {
    eprintln!("error: {}", error.chain());
}
