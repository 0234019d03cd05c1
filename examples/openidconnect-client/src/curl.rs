//! HTTP by the program curl: the peer is the crate, not what carries its requests.

use std::io::{Error, Write as _};
use std::process::{Command, Stdio};

use openidconnect::http::{HeaderName, Response, StatusCode};
use openidconnect::{HttpRequest, HttpResponse};

/// Sends requests to whoever has a certificate of this authority.
#[derive(Debug)]
pub(crate) struct Curl {
    authority: String,
}

impl Curl {
    /// The path of a PEM file.
    pub(crate) fn new(authority: String) -> Self {
        Self { authority }
    }

    /// The status and body that a URL has, for the bearer of a token.
    ///
    /// # Errors
    /// There is no answer.
    pub(crate) fn get(&self, url: &str, token: Option<&str>) -> Result<(u16, Vec<u8>), Error> {
        let mut request = openidconnect::http::Request::get(url);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(Vec::new()).map_err(Error::other)?;
        let response = self.send(&request)?;
        Ok((response.status().as_u16(), response.into_body()))
    }

    /// The answer to a request of the crate.
    ///
    /// # Errors
    /// curl cannot be started, or there is no answer.
    pub(crate) fn send(&self, request: &HttpRequest) -> Result<HttpResponse, Error> {
        let mut settings = vec![
            setting("url", &request.uri().to_string()),
            setting("request", request.method().as_str()),
            setting("cacert", &self.authority),
        ];
        for (name, value) in request.headers() {
            let value = value.to_str().map_err(Error::other)?;
            settings.push(setting("header", &format!("{name}: {value}")));
        }
        if !request.body().is_empty() {
            let body = str::from_utf8(request.body()).map_err(Error::other)?;
            settings.push(setting("data-raw", body));
        }
        // Through its standard input: whoever lists processes sees no secret.
        let mut curl = Command::new("curl")
            .args([
                "--silent",
                "--show-error",
                "--include",
                "--http1.1",
                "--max-time",
                "20",
                "--config",
                "-",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        if let Some(mut input) = curl.stdin.take() {
            input.write_all(settings.join("\n").as_bytes())?;
        }
        let output = curl.wait_with_output()?;
        read(&output.stdout)
            .ok_or_else(|| Error::other(format!("curl got no answer: {}", output.status)))
    }
}

/// A line of a configuration of curl, quoted.
fn setting(name: &str, value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"");
    format!("{name} = \"{value}\"")
}

/// Head and body as curl writes them.
fn read(bytes: &[u8]) -> Option<HttpResponse> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let (head, body) = bytes.split_at_checked(end)?;
    let mut lines = str::from_utf8(head).ok()?.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let mut response = Response::new(body.get(4..)?.to_vec());
    *response.status_mut() = StatusCode::from_u16(status).ok()?;
    for line in lines {
        let (name, value) = line.split_once(':')?;
        let name: HeaderName = name.parse().ok()?;
        response
            .headers_mut()
            .append(name, value.trim().parse().ok()?);
    }
    Some(response)
}
