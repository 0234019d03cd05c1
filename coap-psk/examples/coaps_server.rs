//! A CoAP server over DTLS with pre-shared keys: it knows one device, and answers every request with its path.
//!
//! ```sh
//! cargo run --example coaps_server --features psk-dtls,tokio -- 127.0.0.1:5684 pk,dk,2,60 000102030405060708090a0b0c0d0e0f
//! coap-client-openssl -u pk,dk,2,60 -k 'a key of 16 byte' coaps://127.0.0.1/hello
//! ```
//!
//! The key is written in hexadecimal digits; it prints the address that it listens at, and what happens.
#![allow(clippy::print_stdout, reason = "a program to look at")]

#[path = "common/arguments.rs"]
mod arguments;

use std::error::Error;

use coap_psk::driver::{handle, run};
use coap_psk::dtls::psk::{PskConfig, PskEndpoint};
use coap_psk::{Code, Config, Endpoint, Output, Response};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use arguments::{Arguments, seed};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let Arguments {
        address,
        identity,
        key,
        rest,
    } = Arguments::read()?;
    if !rest.is_empty() {
        return Err("the arguments are: ADDRESS IDENTITY KEY".into());
    }
    let socket = UdpSocket::bind(address).await?;
    println!("listening at {}", socket.local_addr()?);

    let dtls = PskEndpoint::new(PskConfig::default(), seed()?);
    let mut endpoint = Endpoint::new(Config::default(), dtls, seed()?);
    let (handle, mut calls) = handle(16);
    let (sender, mut outputs) = mpsc::channel(16);
    let answers = async move {
        while let Some(output) = outputs.recv().await {
            match output {
                Output::KeyWanted {
                    handshake,
                    identity: named,
                } => {
                    // Any lifetime will do.
                    let known =
                        named.device() == identity.device() && named.mode() == identity.mode();
                    let key = known.then(|| key.clone());
                    let call = handle.post(move |it, now| it.provide_key(handshake, key, now));
                    call.await;
                }
                Output::Request {
                    exchange, request, ..
                } => {
                    let target = request.target();
                    println!("{target}");
                    // 0 is text. (RFC 7252, 12.3)
                    let response = Response::new(Code::CONTENT).with_payload(0, target);
                    let call = handle.post(move |it, now| {
                        if let Err(error) = it.respond(exchange, response, now) {
                            println!("{error}");
                        }
                    });
                    call.await;
                }
                Output::Event(event) => println!("{event:?}"),
                Output::Transmit(_) => {}
            }
        }
        Ok::<_, coap_psk::Error>(())
    };
    let (driven, answered) =
        tokio::join!(run(&socket, &mut endpoint, &mut calls, &sender), answers);
    driven?;
    answered?;
    Ok(())
}
