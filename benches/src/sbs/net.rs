//! A side of a comparison that serves or sends over loopback, on a thread of its own so that its CPU time can be told from the
//! load's.

use std::fs;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};

use bench_harness::clock;

pub(super) fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

/// A thread with a runtime, and a question that it answers: how much CPU time it has taken.
pub(super) struct Side {
    meter: mpsc::UnboundedSender<oneshot::Sender<u64>>,
}

impl Side {
    /// Runs `work` until this is dropped.
    pub(super) fn start<W, F>(work: W) -> Self
    where
        W: FnOnce() -> F + Send + 'static,
        F: Future<Output = ()>,
    {
        let (meter, mut asked) = mpsc::unbounded_channel::<oneshot::Sender<u64>>();
        thread::spawn(move || {
            runtime().block_on(async move {
                let answer = async {
                    while let Some(sender) = asked.recv().await {
                        let _ = sender.send(clock::thread_cpu());
                    }
                };
                tokio::select! {
                    () = work() => {}
                    () = answer => {}
                }
            });
        });
        Self { meter }
    }

    /// CPU time of the thread so far.
    pub(super) async fn cpu(&self) -> u64 {
        let (sender, answer) = oneshot::channel();
        self.meter.send(sender).expect("the side runs");
        answer.await.expect("the side runs")
    }
}

/// A server whose CPU time can be told.
pub(super) trait Measured {
    fn address(&self) -> SocketAddr;

    /// The nanoseconds that it has taken so far.
    async fn cpu(&self) -> u64;
}

impl Measured for Server {
    fn address(&self) -> SocketAddr {
        self.address
    }

    async fn cpu(&self) -> u64 {
        self.side.cpu().await
    }
}

/// CPU time of a process's threads that have a name like that.
pub(super) fn threads_cpu(process: u32, is_meant: impl Fn(&str) -> bool) -> u64 {
    let threads = fs::read_dir(format!("/proc/{process}/task")).expect("it runs");
    let of = |thread: fs::DirEntry| -> Option<u64> {
        let read = |file: &str| fs::read_to_string(thread.path().join(file)).ok();
        is_meant(read("comm")?.trim()).then_some(())?;
        read("schedstat")?.split_whitespace().next()?.parse().ok()
    };
    threads.filter_map(|thread| of(thread.ok()?)).sum()
}

/// A server on a port of loopback.
pub(super) struct Server {
    pub(super) side: Side,
    pub(super) address: SocketAddr,
}

impl Server {
    pub(super) fn start<W, F>(serve: W) -> Self
    where
        W: FnOnce(TcpListener) -> F + Send + 'static,
        F: Future<Output = ()>,
    {
        let (sender, bound) = std::sync::mpsc::channel();
        let side = Side::start(move || async move {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
                .await
                .expect("a port");
            sender
                .send(listener.local_addr().expect("an address"))
                .expect("somebody waits");
            serve(listener).await;
        });
        let address = bound.recv().expect("a port");
        Self { side, address }
    }
}

/// What a server took for each request, in CPU nanoseconds, under connections that never pause and each ask one of these.
pub(super) async fn load(
    server: &impl Measured,
    requests: &[&'static [u8]],
    duration: Duration,
) -> f64 {
    let mut requests: Vec<_> = requests.iter().map(|request| request.to_vec()).collect();
    load_going_on(server, &mut requests, |_, _| (), duration).await
}

/// The same where `go_on` changes each request for what the answer to it says; both stay as long as they are.
pub(super) async fn load_going_on(
    server: &impl Measured,
    requests: &mut [Vec<u8>],
    go_on: fn(&mut [u8], &[u8]),
    duration: Duration,
) -> f64 {
    let mut clients = Vec::new();
    for request in requests.iter() {
        let stream = TcpStream::connect(server.address()).await;
        let mut stream = stream.expect("connected");
        stream.set_nodelay(true).expect("an option");
        let mut request = request.clone();
        let answer = first_answer(&mut stream, &request).await;
        go_on(&mut request, &answer);
        clients.push((stream, request, answer));
    }
    let deadline = clock::wall() + duration.as_nanos() as u64;
    let began = server.cpu().await;
    let tasks: Vec<_> = clients
        .into_iter()
        .map(|(mut stream, mut request, mut answer)| {
            tokio::spawn(async move {
                let mut count = 0_u64;
                while clock::wall() < deadline {
                    stream.write_all(&request).await.expect("sent");
                    stream.read_exact(&mut answer).await.expect("answered");
                    go_on(&mut request, &answer);
                    count += 1;
                }
                (count, request)
            })
        })
        .collect();
    let mut count = 0;
    for (task, request) in tasks.into_iter().zip(requests) {
        let (answered, next) = task.await.expect("no panic");
        count += answered;
        *request = next;
    }
    let taken = server.cpu().await - began;
    taken as f64 / count.max(1) as f64
}

/// How long the content of an answer is.
pub(super) async fn content_length(server: &Server, request: &[u8]) -> usize {
    let mut stream = TcpStream::connect(server.address).await.expect("connected");
    let answer = first_answer(&mut stream, request).await;
    Head::find(&answer).expect("a whole head").content
}

/// Sends one request and reads its whole answer, which must be a 200.
async fn first_answer(stream: &mut TcpStream, request: &[u8]) -> Vec<u8> {
    stream.write_all(request).await.expect("sent");
    let mut answer = Vec::new();
    loop {
        stream.read_buf(&mut answer).await.expect("answered");
        if let Some(head) = Head::find(&answer)
            && answer.len() >= head.length + head.content
        {
            assert!(answer.starts_with(b"HTTP/1.1 200 "), "an answer of 200");
            return answer;
        }
    }
}

/// How long a message is.
pub(super) struct Head {
    pub(super) length: usize,
    pub(super) content: usize,
}

impl Head {
    /// `None` while the head is not complete.
    pub(super) fn find(message: &[u8]) -> Option<Self> {
        let length = message.windows(4).position(|bytes| bytes == b"\r\n\r\n")? + 4;
        let text = std::str::from_utf8(message.get(..length)?).ok()?;
        let content = text.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse().ok())?
        });
        Some(Self {
            length,
            content: content.unwrap_or(0),
        })
    }
}

/// Takes every request on the listener and answers 200 with nothing: the cheapest receiver there is.
pub(super) async fn swallow(listener: TcpListener) {
    loop {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("an option");
        tokio::spawn(async move {
            let mut received = Vec::with_capacity(4096);
            while stream
                .read_buf(&mut received)
                .await
                .is_ok_and(|count| count > 0)
            {
                if let Some(head) = Head::find(&received)
                    && received.len() >= head.length + head.content
                {
                    received.clear();
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                    if stream.write_all(answer).await.is_err() {
                        return;
                    }
                }
            }
        });
    }
}
