//! A bootstrap server of LwM2M with its clients in a file.
//!
//! ```sh
//! cargo run -p lwm2m-bootstrap -- clients.toml
//! ```
//!
//! README.md shows such a file.
#![allow(
    clippy::print_stdout,
    reason = "whoever starts it waits for the addresses, and looks at what happens"
)]

mod table;

use std::error::Error;

use coap_psk::dtls::psk::{PskConfig, PskEndpoint};
use lwm2m_bootstrap::{AnyIdentity, Open, Settings, serve};
use tokio::net::UdpSocket;

use table::{File, Table};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(file), None) = (arguments.next(), arguments.next()) else {
        return Err("the argument is: CLIENTS.toml".into());
    };
    let file: File = toml::from_str(&std::fs::read_to_string(file)?)?;
    let (listen, open, bootstraps) = (file.listen, file.insecure_listen, file.bootstraps());
    let table = Table::new(file)?;

    let socket = UdpSocket::bind(listen).await?;
    println!("listening at coaps://{}", socket.local_addr()?);
    let mut settings = Settings::default();
    settings.bootstraps = bootstraps.clone();
    settings.confidential = true;
    let dtls = AnyIdentity::new(PskEndpoint::new(PskConfig::default(), seed()?));
    let secured = serve(socket, dtls, seed()?, settings, table.clone());

    let Some(open) = open else {
        secured.await?;
        return Ok(());
    };
    let socket = UdpSocket::bind(open).await?;
    println!(
        "listening at coap://{}: INSECURE, for tests only",
        socket.local_addr()?
    );
    let mut settings = Settings::default();
    settings.bootstraps = bootstraps;
    // Whoever configures this listener wants that.
    settings.bootstraps.insecure = true;
    let open = serve(
        socket,
        AnyIdentity::new(Open::default()),
        seed()?,
        settings,
        table,
    );
    tokio::try_join!(secured, open)?;
    Ok(())
}

fn seed() -> Result<[u8; 32], Box<dyn Error>> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    Ok(seed)
}
