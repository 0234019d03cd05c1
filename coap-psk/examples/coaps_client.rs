//! A device that connects to a CoAP server over DTLS with a pre-shared key and asks one thing: it gets `/`, or what it is told.
//!
//! ```sh
//! coap-server-openssl -A 127.0.0.1 -k 0123456789abcdef
//! cargo run --example coaps_client --features psk-dtls,tokio -- 127.0.0.1:5684 pk,dk,2,60 30313233343536373839616263646566
//! echo hello | cargo run .. put /example_data
//! cargo run .. get /example_data
//! cargo run .. observe /time
//! ```
//!
//! It prints the answer, or the first three states of what it observes.
#![allow(clippy::print_stdout, reason = "a program to look at")]

#[path = "common/arguments.rs"]
mod arguments;

use std::error::Error;
use std::io::{self, Read as _, Write as _};
use std::net::Ipv4Addr;

use coap_psk::driver::{handle, run};
use coap_psk::dtls::psk::{PskConfig, PskEndpoint};
use coap_psk::{Config, Endpoint, Event, Method, Output, Request, Response};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use arguments::{Arguments, seed};

const TEXT: u16 = 0;
/// How many states an observer waits for.
const STATES: usize = 3;

/// What is asked, and whether it is observed.
fn request(words: &[String]) -> Result<(Request, bool), Box<dyn Error>> {
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    Ok(match words.as_slice() {
        [] => (Request::new(Method::Get, "/")?, false),
        ["get", target] => (Request::new(Method::Get, target)?, false),
        ["observe", target] => (Request::new(Method::Get, target)?, true),
        ["put", target] => {
            let mut body = Vec::new();
            io::stdin().read_to_end(&mut body)?;
            let request = Request::new(Method::Put, target)?;
            (request.with_payload(TEXT, body), false)
        }
        _ => return Err("behind the key: get, put or observe, and a TARGET".into()),
    })
}

fn print(response: &Response) -> io::Result<()> {
    println!("{}", response.code);
    io::stdout().write_all(&response.payload)?;
    println!();
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let Arguments {
        address,
        identity,
        key,
        rest,
    } = Arguments::read()?;
    let (asked, observe) = request(&rest)?;
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;

    let mut settings = PskConfig::default();
    settings.accept = false;
    // The server's id goes with what it is sent; what comes from the server needs none.
    settings.connection_id_len = Some(0);
    let dtls = PskEndpoint::new(settings, seed()?);
    let mut endpoint = Endpoint::new(Config::default(), dtls, seed()?);
    let (handle, mut calls) = handle(16);
    let (sender, mut outputs) = mpsc::channel(16);
    let story = async move {
        let connect = handle.call(move |it, now| it.connect(address, &identity, key, now));
        let session = connect.await.transpose()?;
        let mut states = 0_usize;
        while let Some(output) = outputs.recv().await {
            let answered = match output {
                Output::Event(Event::Online { session, .. }) => {
                    let asked = asked.clone();
                    let call = handle.call(move |it, now| {
                        if observe {
                            it.observe(session, asked, now)
                        } else {
                            it.request(session, asked, now)
                        }
                    });
                    call.await.transpose()?;
                    false
                }
                Output::Event(Event::Response { response, .. }) => {
                    print(&response)?;
                    true
                }
                Output::Event(Event::Notification { exchange, response }) => {
                    print(&response)?;
                    states = states.saturating_add(1);
                    if states == STATES {
                        let call = handle.call(move |it, now| it.cancel(exchange, now));
                        call.await;
                    }
                    states == STATES
                }
                Output::Event(event) => {
                    println!("{event:?}");
                    if let Event::Offline { .. } = event {
                        break;
                    }
                    false
                }
                _ => false,
            };
            if let (true, Some(session)) = (answered, session) {
                handle.call(move |it, now| it.close(session, now)).await;
            }
        }
        Ok::<_, Box<dyn Error>>(())
    };
    let (driven, told) = tokio::join!(run(&socket, &mut endpoint, &mut calls, &sender), story);
    driven?;
    told?;
    Ok(())
}
