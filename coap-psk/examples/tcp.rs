//! CoAP over TCP on tokio: a small server, and a client that asks one thing.
//!
//! ```text
//! cargo run -p coap-psk --features tcp --example tcp -- serve 127.0.0.1:5683
//! cargo run -p coap-psk --features tcp --example tcp -- get 127.0.0.1:5683 /long
//! echo hello | cargo run -p coap-psk --features tcp --example tcp -- put 127.0.0.1:5683 /store
//! cargo run -p coap-psk --features tcp --example tcp -- observe 127.0.0.1:5683 /ticks
//! ```
//!
//! The server has `/long`, 20,000 bytes; `/store`, which keeps what is put there; and `/ticks`, which changes every second.
//! Nothing is encrypted: a real one would hand the connection the bytes of a TLS stream.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::print_stdout,
    reason = "a program to read"
)]

use std::collections::VecDeque;
use std::error::Error;
use std::io::{ErrorKind, Read as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use coap_psk::tcp::{Config, Connection, Event, ExchangeId, Output, Release};
use coap_psk::{Code, Instant, Method, Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant as TokioInstant, sleep_until, timeout};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const TEXT: u16 = 0;
const TICK: Duration = Duration::from_secs(1);
/// How long a peer may take to read a message.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many states an observer waits for.
const STATES: usize = 3;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["serve", address] => serve(address).await,
        ["get", address, target] => ask(address, Request::new(Method::Get, target)?, false).await,
        ["observe", address, target] => {
            ask(address, Request::new(Method::Get, target)?, true).await
        }
        ["put", address, target] => {
            let mut body = Vec::new();
            std::io::stdin().read_to_end(&mut body)?;
            let request = Request::new(Method::Put, target)?.with_payload(TEXT, body);
            ask(address, request, false).await
        }
        _ => Err("serve ADDRESS, or get, put or observe ADDRESS TARGET".into()),
    }
}

/// A connection, the stream under it, and the clock of both.
struct Driven {
    connection: Connection,
    stream: TcpStream,
    start: TokioInstant,
    /// What the application has not looked at.
    outputs: VecDeque<Output>,
}

impl Driven {
    fn new(stream: TcpStream) -> Self {
        Self {
            connection: Connection::new(Config::default(), Instant::ZERO),
            stream,
            start: TokioInstant::now(),
            outputs: VecDeque::new(),
        }
    }

    fn now(&self) -> Instant {
        Instant::ZERO.saturating_add(self.start.elapsed())
    }

    /// The next output that is the application's; `None` when the connection is over, or `until` has come.
    async fn next(&mut self, until: TokioInstant) -> Result<Option<Output>> {
        loop {
            // Everything is written before more is read: who does not read is not read from.
            while let Some(output) = self.connection.poll_output() {
                match output {
                    Output::Send(bytes) => timeout(PATIENCE, self.write(&bytes)).await??,
                    Output::Close => {}
                    other => self.outputs.push_back(other),
                }
            }
            if let Some(output) = self.outputs.pop_front() {
                return Ok(Some(output));
            }
            if self.connection.is_closed() || TokioInstant::now() >= until {
                return Ok(None);
            }
            let deadline = self.connection.next_deadline().map(|deadline| {
                let after = deadline.saturating_duration_since(Instant::ZERO);
                self.start.checked_add(after).unwrap_or(until)
            });
            tokio::select! {
                ready = self.stream.readable() => {
                    ready?;
                    self.read()?;
                }
                () = sleep_until(deadline.map_or(until, |deadline| deadline.min(until))) => {
                    self.connection.handle_timeout(self.now());
                }
            }
        }
    }

    fn read(&mut self) -> Result<()> {
        let mut buffer = [0; 4_096];
        match self.stream.try_read(&mut buffer) {
            Ok(0) => self.connection.handle_closed(self.now()),
            Ok(len) => {
                let bytes = buffer.get(..len).unwrap_or_default();
                self.connection.handle_bytes(bytes, self.now());
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    async fn write(&self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            self.stream.writable().await?;
            match self.stream.try_write(bytes) {
                Ok(len) => bytes = bytes.get(len..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

async fn serve(address: &str) -> Result<()> {
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    std::io::stdout().flush()?;
    let store = Arc::new(Mutex::new(Bytes::new()));
    loop {
        let (stream, peer) = listener.accept().await?;
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            if let Err(error) = serve_one(Driven::new(stream), &store).await {
                println!("{peer}: {error}");
            }
        });
    }
}

async fn serve_one(mut driven: Driven, store: &Mutex<Bytes>) -> Result<()> {
    let stored = || store.lock().unwrap_or_else(PoisonError::into_inner);
    let mut ticks = 0_u64;
    let state = |ticks: u64| {
        Response::new(Code::CONTENT)
            .with_payload(TEXT, ticks.to_string())
            .observable()
    };
    let mut tick = TokioInstant::now() + TICK;
    loop {
        while let Some(output) = driven.next(tick).await? {
            match output {
                Output::Request { exchange, request } => {
                    let response = match (request.method, request.target().as_str()) {
                        (Method::Get, "/long") => {
                            let text: Vec<u8> = (b'a'..=b'y').cycle().take(20_000).collect();
                            Response::new(Code::CONTENT).with_payload(TEXT, text)
                        }
                        (Method::Get, "/ticks") => state(ticks),
                        (Method::Get, "/store") => {
                            Response::new(Code::CONTENT).with_payload(TEXT, stored().clone())
                        }
                        (Method::Put, "/store") => {
                            *stored() = request.payload;
                            Response::new(Code::CHANGED)
                        }
                        (_, "/long" | "/ticks" | "/store") => {
                            Response::new(Code::METHOD_NOT_ALLOWED)
                        }
                        _ => Response::new(Code::NOT_FOUND),
                    };
                    let now = driven.now();
                    driven.connection.respond(exchange, response, now)?;
                }
                Output::Event(event) => println!("{event:?}"),
                Output::Send(_) | Output::Close => {}
            }
        }
        if driven.connection.is_closed() {
            return Ok(());
        }
        ticks += 1;
        tick += TICK;
        let now = driven.now();
        driven.connection.notify("/ticks", &state(ticks), now)?;
    }
}

/// Prints the answer to a request, or a few states of what is observed.
async fn ask(address: &str, request: Request, observe: bool) -> Result<()> {
    let mut driven = Driven::new(TcpStream::connect(address).await?);
    let (now, until) = (driven.now(), TokioInstant::now() + PATIENCE);
    let asked = if observe {
        driven.connection.observe(request, now)?
    } else {
        driven.connection.request(request, now)?
    };
    let mut states = 0;
    while let Some(output) = driven.next(until).await? {
        let Output::Event(event) = output else {
            continue;
        };
        match event {
            Event::Response { response, .. } => {
                print(&response)?;
                return leave(driven, None).await;
            }
            Event::Notification { response, .. } => {
                print(&response)?;
                states += 1;
                if states == STATES {
                    return leave(driven, Some(asked)).await;
                }
            }
            Event::Failed { failure, .. } => return Err(format!("{failure:?}").into()),
            _ => {}
        }
    }
    Err("no answer".into())
}

fn print(response: &Response) -> Result<()> {
    println!("{}", response.code);
    std::io::stdout().write_all(&response.payload)?;
    println!();
    Ok(())
}

/// Stops observing, and lets the peer close the connection.
async fn leave(mut driven: Driven, observing: Option<ExchangeId>) -> Result<()> {
    let now = driven.now();
    if let Some(exchange) = observing {
        driven.connection.cancel(exchange, now);
    }
    driven.connection.release(Release::new(), now)?;
    let until = TokioInstant::now() + TICK;
    while driven.next(until).await?.is_some() {}
    Ok(())
}
