//! `oidc-provider` of npm in a process of its own, where `scripts/bench tokens` or `sbs` has put it.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::sbs::net::{Measured, threads_cpu};

/// The process, and a request for an access token that it answers as often as it is asked.
pub(super) struct OidcProvider {
    process: Child,
    address: SocketAddr,
    /// A form.
    pub(super) request: Vec<u8>,
}

impl OidcProvider {
    /// Starts it; `None` where it, or node, is not installed.
    pub(super) fn start() -> Option<Self> {
        let folder = folder()?;
        let mut process = Command::new("node")
            .arg(folder.join("server.mjs"))
            .arg("0")
            .env("NODE_ENV", "production")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut lines = BufReader::new(process.stdout.take()?).lines();
        let task = lines.find_map(|line| serde_json::from_str::<Value>(&line.ok()?).ok())?;
        let text = |name: &str| task.get(name)?.as_str().map(str::to_owned);
        let url = text("url")?;
        let (host, path) = url.strip_prefix("http://")?.split_once('/')?;
        let form: Vec<_> = ["client_id", "client_secret", "refresh_token"]
            .into_iter()
            .filter_map(|name| Some(format!("{name}={}", text(name)?)))
            .collect();
        let form = format!("grant_type=refresh_token&{}", form.join("&"));
        let request = format!(
            "POST /{path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/x-www-form-urlencoded\r\n\
             content-length: {}\r\n\r\n{form}",
            form.len()
        );
        Some(Self {
            address: host.parse().ok()?,
            process,
            request: request.into_bytes(),
        })
    }
}

/// Beside the folder that this program is in.
fn folder() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    let folder = program.ancestors().nth(2)?.join("oidc-provider");
    folder
        .join("node_modules/oidc-provider")
        .is_dir()
        .then_some(folder)
}

impl Measured for OidcProvider {
    fn address(&self) -> SocketAddr {
        self.address
    }

    /// Of all its threads.
    async fn cpu(&self) -> u64 {
        threads_cpu(self.process.id(), |_| true)
    }
}

impl Drop for OidcProvider {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
