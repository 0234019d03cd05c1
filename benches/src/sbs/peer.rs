//! `oidc-provider` of npm in a process of its own, where `scripts/bench tokens` or `sbs` has put it.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::sbs::net::{Measured, threads_cpu};

/// The process, and requests for access tokens.
pub(super) struct OidcProvider {
    process: Child,
    address: SocketAddr,
    /// One for each user.
    pub(super) requests: Vec<Vec<u8>>,
}

impl OidcProvider {
    /// Starts it with so many users; `None` where it, or node, is not installed.
    pub(super) fn start(users: usize) -> Option<Self> {
        let folder = folder()?;
        let mut process = Command::new("node")
            .arg(folder.join("server.mjs"))
            .arg("0")
            .arg(users.to_string())
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
        let (client, secret) = (text("client_id")?, text("client_secret")?);
        let request = |token: &Value| {
            let token = token.as_str()?;
            Some(refresh(&format!("/{path}"), host, token, &client, &secret))
        };
        let requests = task.get("refresh_tokens")?.as_array()?.iter().map(request);
        Some(Self {
            address: host.parse().ok()?,
            process,
            requests: requests.collect::<Option<_>>()?,
        })
    }
}

/// A request for an access token.
pub(super) fn refresh(path: &str, host: &str, token: &str, client: &str, secret: &str) -> Vec<u8> {
    let form = format!(
        "grant_type=refresh_token&refresh_token={token}&client_id={client}&client_secret={secret}"
    );
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/x-www-form-urlencoded\r\n\
         content-length: {}\r\n\r\n{form}",
        form.len()
    );
    request.into_bytes()
}

/// Puts the refresh token of an answer in the place of the one in the request.
pub(super) fn rotate(request: &mut [u8], answer: &[u8]) {
    const IN_FORM: &[u8] = b"&refresh_token=";
    const IN_JSON: &[u8] = b"\"refresh_token\":\"";
    let behind = |text: &[u8], name: &[u8]| {
        let found = text.windows(name.len()).position(|part| part == name);
        found.expect("a refresh token") + name.len()
    };
    let (to, from) = (behind(request, IN_FORM), behind(answer, IN_JSON));
    let (to, from) = (request.get_mut(to..), answer.get(from..));
    let (to, from) = (to.expect("a token"), from.expect("a token"));
    let length = from.iter().position(|byte| *byte == b'"');
    let length = length.expect("its end");
    to.iter_mut()
        .zip(from.iter().take(length))
        .for_each(|(to, from)| *to = *from);
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
