//! A server in a process of its own, and what it takes.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};

use crate::{SERVE, SHARDS, shards};

/// A process that listens on loopback; it ends with this value.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// This program as `what`: `coaps`, or `echo`.
    pub(crate) fn own(what: &str) -> Self {
        let program = std::env::current_exe().expect("a program");
        let mut child = Command::new(program)
            .args([SERVE, what, &format!("{SHARDS}{}", shards())])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("an output");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("a line of the server");
        let address = line.trim().parse().expect("an address");
        Self { child, address }
    }

    /// libcoap's example server over OpenSSL, which takes every identity with this key; `None` when it is not installed.
    pub(crate) fn libcoap(key: &str) -> Option<Self> {
        let address = free_port();
        let child = Command::new("coap-server-openssl")
            .args(["-A", "127.0.0.1", "-p"])
            // It listens for DTLS on the port behind the one that it is given.
            .arg((address.port() - 1).to_string())
            .args(["-k", key])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        Some(Self { child, address })
    }

    /// The CPU nanoseconds of its threads.
    pub(crate) fn cpu(&self) -> u64 {
        let threads = fs::read_dir(self.of_system("task")).expect("Linux");
        let on_cpu = threads.map(|thread| {
            let path = thread.expect("a thread").path().join("schedstat");
            let text = fs::read_to_string(path).expect("Linux");
            let first = text.split(' ').next();
            let on_cpu = first.and_then(|field| field.parse::<u64>().ok());
            on_cpu.expect("a number")
        });
        on_cpu.sum()
    }

    /// Its resident bytes.
    pub(crate) fn resident(&self) -> u64 {
        let text = fs::read_to_string(self.of_system("status")).expect("Linux");
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
        kib.expect("a number") * 1024
    }

    fn of_system(&self, file: &str) -> String {
        format!("/proc/{}/{file}", self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody listens on, and the one before it neither.
#[expect(clippy::disallowed_types, reason = "a port is asked of the system")]
fn free_port() -> SocketAddr {
    use std::net::UdpSocket;

    loop {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = socket.local_addr().expect("an address");
        let before = (Ipv4Addr::LOCALHOST, address.port() - 1);
        if UdpSocket::bind(before).is_ok() {
            return address;
        }
    }
}
