//! The command line.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use account_linking::client::{ClientAuthentication, Cloud, CloudId};
use account_linking::{ClientSecret, RedirectUri};

use crate::Failure;

/// Which rights a link asks for; each is a cloud of its own to the linking machine, so that one person can have both.
pub(crate) const FULL: &str = "full";
/// See [`FULL`].
pub(crate) const READ: &str = "read";

/// A client-side cloud: links accounts at a device-side cloud, and keeps in step with the devices there.
#[derive(Clone, Debug, clap::Parser)]
#[command(version)]
pub(crate) struct Args {
    /// Where browsers and notifications come in, over HTTPS. Port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:9443")]
    pub(crate) listen: SocketAddr,
    /// Where people and scripts give commands, over plain HTTP. Must be a loopback address. Port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:9080")]
    pub(crate) control: SocketAddr,
    /// The origin under which browsers and the device-side cloud reach this program; by default that of --listen.
    #[arg(long)]
    pub(crate) public_url: Option<String>,
    /// The journal and the list of notifications.
    #[arg(long, default_value = "client-data")]
    pub(crate) data: PathBuf,
    /// The master key and the data keys. Must lie outside --data.
    #[arg(long, default_value = "client-keys")]
    pub(crate) keys: PathBuf,
    /// PEM file with the certificate chain of --listen.
    #[arg(long)]
    pub(crate) certificate: PathBuf,
    /// PEM file with the private key of --certificate.
    #[arg(long)]
    pub(crate) private_key: PathBuf,
    /// PEM file with the authorities that the device-side cloud's certificate may come from.
    #[arg(long)]
    pub(crate) ca: PathBuf,
    /// The device-side cloud: its issuer, and the origin of its interface and its linking pages.
    #[arg(long, default_value = "https://localhost:8443")]
    pub(crate) cloud: String,
    /// The identifier of this program at the device-side cloud.
    #[arg(long)]
    pub(crate) client_id: String,
    /// File with the secret of this program at the device-side cloud.
    #[arg(long)]
    pub(crate) client_secret_file: PathBuf,
}

impl Args {
    /// What cannot be right whatever the files hold.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if !self.control.ip().is_loopback() {
            return Err(Failure::new(
                "--control must be a loopback address: whoever reaches it commands all accounts",
            ));
        }
        if absolute(&self.keys)?.starts_with(absolute(&self.data)?) {
            return Err(Failure::new(
                "--keys must lie outside --data, so that a copy of the data does not carry its keys",
            ));
        }
        Ok(())
    }

    /// The origin of this program, once it is known where it listens.
    pub(crate) fn origin(&self, listening: SocketAddr) -> String {
        let given = self
            .public_url
            .as_deref()
            .map(|url| url.trim_end_matches('/').to_owned());
        given.unwrap_or_else(|| format!("https://{listening}"))
    }

    /// The root of the device-side cloud's interface.
    pub(crate) fn api(&self) -> Result<http::Uri, Failure> {
        let api = format!("{}/api/v1", self.cloud.trim_end_matches('/'));
        api.parse()
            .map_err(|error| Failure::of("--cloud is not a URL", error))
    }

    /// The device-side cloud as the linking machine knows it, once per kind of access.
    pub(crate) fn clouds(&self, origin: &str) -> Result<Vec<Cloud>, Failure> {
        let secret = read(&self.client_secret_file)?;
        let secret = ClientSecret::new(secret.trim())
            .map_err(|error| Failure::of("the client secret file holds no client secret", error))?;
        let redirect: RedirectUri = format!("{origin}/oauth/callback")
            .parse()
            .map_err(|error| Failure::of("--public-url is not an https origin", error))?;
        [(FULL, "r:* w:*"), (READ, "r:*")]
            .into_iter()
            .map(|(name, scopes)| {
                self.cloud(name, scopes, &secret, &redirect)
                    .map_err(|error| Failure::of("--cloud is not an https origin", error))
            })
            .collect()
    }

    fn cloud(
        &self,
        name: &str,
        scopes: &str,
        secret: &ClientSecret,
        redirect: &RedirectUri,
    ) -> Result<Cloud, account_linking::Error> {
        let origin = self.cloud.trim_end_matches('/');
        let mut cloud = Cloud::new(
            name.parse::<CloudId>()?,
            origin,
            &format!("{origin}/authorize"),
            &format!("{origin}/token"),
            &self.client_id,
            ClientAuthentication::Basic(secret.clone()),
            redirect.clone(),
        )?;
        cloud.scopes = scopes.parse()?;
        let mut revocation = cloud.token_endpoint.clone();
        revocation.set_path("/revoke");
        cloud.revocation_endpoint = Some(revocation);
        Ok(cloud)
    }
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path)
        .map_err(|error| Failure::of(format!("{} is no path", path.display()), error))
}

/// Reads a text file whole.
pub(crate) fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|error| Failure::of(format!("cannot read {}", path.display()), error))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn args(more: &[&str]) -> Args {
        let needed = [
            "x",
            "--certificate",
            "c",
            "--private-key",
            "k",
            "--ca",
            "a",
            "--client-id",
            "i",
            "--client-secret-file",
            "s",
        ];
        Args::try_parse_from(needed.iter().chain(more)).unwrap()
    }

    #[test]
    fn commands_are_taken_on_loopback_alone() {
        assert!(args(&[]).check().is_ok());
        assert!(args(&["--control", "[::1]:0"]).check().is_ok());
        assert!(args(&["--control", "0.0.0.0:9080"]).check().is_err());
    }

    #[test]
    fn keys_lie_outside_the_data() {
        assert!(args(&["--data", "d", "--keys", "d/keys"]).check().is_err());
        assert!(args(&["--data", "d", "--keys", "d-keys"]).check().is_ok());
    }
}
