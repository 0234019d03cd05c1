//! A device that connects to a CoAP server over DTLS with a pre-shared key and gets `/`.
//!
//! ```sh
//! coap-server-openssl -A 127.0.0.1 -k 0123456789abcdef
//! cargo run --example coaps_client --features psk-dtls,tokio -- 127.0.0.1:5684 pk,dk,2,60 30313233343536373839616263646566
//! ```
#![allow(clippy::print_stdout, reason = "a program to look at")]

#[path = "common/arguments.rs"]
mod arguments;

use std::error::Error;
use std::net::Ipv4Addr;

use coap_psk::driver::{handle, run};
use coap_psk::dtls::psk::{PskConfig, PskEndpoint};
use coap_psk::{Config, Endpoint, Event, Method, Output, Request};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use arguments::{Arguments, seed};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let Arguments {
        address,
        identity,
        key,
    } = Arguments::read()?;
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;

    let mut settings = PskConfig::default();
    settings.accept = false;
    // The server's id goes with what it is sent; what comes from the server needs none.
    settings.connection_id_len = Some(0);
    let dtls = PskEndpoint::new(settings, seed()?);
    let mut endpoint = Endpoint::new(Config::default(), dtls, seed()?);
    let (handle, mut calls) = handle(16);
    let (sender, mut outputs) = mpsc::channel(16);
    let request = async move {
        let connect = handle.call(move |it, now| it.connect(address, &identity, key, now));
        let session = connect.await.transpose()?;
        while let Some(output) = outputs.recv().await {
            match output {
                Output::Event(Event::Online { session, .. }) => {
                    let get = Request::new(Method::Get, "/")?;
                    let call = handle.call(move |it, now| it.request(session, get, now));
                    call.await.transpose()?;
                }
                Output::Event(Event::Response { response, .. }) => {
                    let payload = String::from_utf8_lossy(&response.payload);
                    println!("{}\n{payload}", response.code);
                    if let Some(session) = session {
                        handle.call(move |it, now| it.close(session, now)).await;
                    }
                }
                Output::Event(event) => {
                    println!("{event:?}");
                    if let Event::Offline { .. } = event {
                        break;
                    }
                }
                _ => {}
            }
        }
        Ok::<_, coap_psk::Error>(())
    };
    let (driven, requested) =
        tokio::join!(run(&socket, &mut endpoint, &mut calls, &sender), request);
    driven?;
    requested?;
    Ok(())
}
