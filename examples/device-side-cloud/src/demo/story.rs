//! Where the story stands: its folder, its processes, and what the steps hand on to one another.

mod calls;

use std::ffi::OsString;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::process::Command;

use crate::certificates::{DevelopmentCa, client_config};
use crate::clock;
use crate::config;
use crate::error::Error;
use crate::gateway::DtlsEngine;
use crate::outbound::{Outbound, Schemes};

use super::browser::Browser;
use super::process::{PATIENCE, Process};
use super::secrets::Secrets;

/// How many steps the story has.
const STEPS: usize = 14;

/// The addresses that the story uses, all on loopback and all free when it began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    pub(crate) https: u16,
    pub(crate) coaps: u16,
    pub(crate) mqtt: u16,
    pub(crate) lwm2m: u16,
    pub(crate) client: u16,
    pub(crate) control: u16,
    pub(crate) monitoring: u16,
}

/// The story as far as it is told.
#[derive(Debug)]
pub(crate) struct Story {
    pub(crate) dir: PathBuf,
    pub(crate) ports: Ports,
    dtls: DtlsEngine,
    pub(crate) cloud: Option<Process>,
    /// Alice's thermostat.
    pub(crate) device: Option<Process>,
    /// Bob's lamp.
    pub(crate) lamp: Option<Process>,
    pub(crate) client: Option<Process>,
    pub(crate) http: Option<Outbound>,
    pub(crate) secrets: Secrets,
    step: usize,
    since: Instant,
}

impl Story {
    /// Makes the folder and picks the ports.
    ///
    /// # Errors
    /// The folder cannot be made, or loopback has no free port.
    pub(crate) fn begin(dir: &Path, dtls: DtlsEngine) -> Result<Self, Error> {
        std::fs::create_dir_all(dir)
            .map_err(|cause| Error::new(format!("cannot make {}", dir.display()), cause))?;
        Ok(Self {
            dir: dir.to_path_buf(),
            ports: Ports {
                https: free_tcp_port()?,
                coaps: free_udp_port()?,
                mqtt: free_tcp_port()?,
                lwm2m: free_udp_port()?,
                client: free_tcp_port()?,
                control: free_tcp_port()?,
                monitoring: free_tcp_port()?,
            },
            dtls,
            cloud: None,
            device: None,
            lamp: None,
            client: None,
            http: None,
            secrets: Secrets::default(),
            step: 0,
            since: clock::now(),
        })
    }

    /// Prints a line.
    #[expect(clippy::print_stdout, reason = "the story is told on standard output")]
    pub(crate) fn say(&self, line: &str) {
        println!("{line}");
    }

    /// Prints what a step saw, and begins the next one.
    pub(crate) fn saw(&mut self, title: &str, what: &str) {
        self.step = self.step.saturating_add(1);
        let took = clock::now().saturating_duration_since(self.since);
        self.say(&format!(
            "[{:>2}/{STEPS}] {title}: {what} ({:.1} s)",
            self.step,
            took.as_secs_f64()
        ));
        self.since = clock::now();
    }

    /// The cloud's configuration file.
    pub(crate) fn config_file(&self) -> PathBuf {
        self.dir.join("cloud.toml")
    }

    /// The origin of the device-side cloud.
    pub(crate) fn cloud_url(&self) -> String {
        format!("https://localhost:{}", self.ports.https)
    }

    /// The origin of the client-side cloud.
    pub(crate) fn client_url(&self) -> String {
        format!("https://localhost:{}", self.ports.client)
    }

    /// The development CA of the cloud.
    pub(crate) fn ca(&self) -> Result<DevelopmentCa, Error> {
        DevelopmentCa::open(&self.dir.join("data"))
    }

    /// Writes the configuration: the sample, with this story's ports.
    pub(crate) fn write_config(&self) -> Result<(), Error> {
        let text = config::SAMPLE
            .replace("127.0.0.1:8443", &format!("127.0.0.1:{}", self.ports.https))
            .replace("localhost:8443", &format!("localhost:{}", self.ports.https))
            .replace("127.0.0.1:5684", &format!("127.0.0.1:{}", self.ports.coaps))
            .replace(
                "127.0.0.1:9464",
                &format!("127.0.0.1:{}", self.ports.monitoring),
            )
            .replace("\nenabled = false", "\nenabled = true")
            .replace(
                "# listen = \"127.0.0.1:8883\"",
                &format!("listen = \"127.0.0.1:{}\"", self.ports.mqtt),
            )
            .replace(
                "# listen = \"127.0.0.1:5784\"",
                &format!("listen = \"127.0.0.1:{}\"", self.ports.lwm2m),
            )
            .replace(
                "# dtls = \"openssl\"",
                &format!("dtls = \"{}\"", self.dtls.word()),
            )
            // The receiver of this story's notifications is on loopback, too.
            .replace(
                "allow_private_addresses = false",
                "allow_private_addresses = true",
            );
        let path = self.config_file();
        std::fs::write(&path, text)
            .map_err(|cause| Error::new(format!("cannot write {}", path.display()), cause))
    }

    /// Starts the cloud and waits until it listens.
    pub(crate) async fn start_cloud(&mut self) -> Result<String, Error> {
        let arguments = [
            OsString::from("serve"),
            OsString::from("--config"),
            self.config_file().into(),
        ];
        let mut cloud = Process::start(
            "the cloud",
            &this_program()?,
            &arguments,
            &self.dir.join("cloud.log"),
        )?;
        let line = cloud
            .wait_for("that it listens", PATIENCE, |line| {
                line.contains("listening on")
            })
            .await?;
        self.cloud = Some(cloud);
        if self.http.is_none() {
            let tls = client_config(&[self.ca()?.certificate()])?;
            let rule = Arc::new(|_| true);
            self.http = Some(Outbound::new(tls, Schemes::AlsoHttp, rule, PATIENCE));
        }
        Ok(line)
    }

    /// Runs an admin command of this binary and gives back the lines `name: value` that it prints.
    pub(crate) async fn admin(
        &self,
        arguments: &[&str],
        input: &str,
    ) -> Result<Vec<(String, String)>, Error> {
        let printed = self.run_admin(arguments, input).await?;
        Ok(printed
            .lines()
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
            .collect())
    }

    /// Runs an admin command of this binary and gives back what it prints.
    pub(crate) async fn run_admin(&self, arguments: &[&str], input: &str) -> Result<String, Error> {
        use tokio::io::AsyncWriteExt as _;

        let what = arguments.join(" ");
        let failed = |cause| Error::new(format!("`{what}` failed"), cause);
        let mut child = Command::new(this_program()?)
            .args(arguments)
            .arg("--config")
            .arg(self.config_file())
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .map_err(failed)?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes()).await.map_err(failed)?;
        }
        let output = child.wait_with_output().await.map_err(failed)?;
        if !output.status.success() {
            return Err(Error::plain(format!(
                "`{what}` failed: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            )));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The HTTPS client that trusts the development CA.
    pub(crate) fn http(&self) -> Result<&Outbound, Error> {
        self.http
            .as_ref()
            .ok_or_else(|| Error::plain("the cloud was not started yet"))
    }

    /// Keeps in mind what servers had a browser keep.
    pub(crate) fn overheard(&mut self, browser: &Browser) {
        for cookie in browser.cookies() {
            self.secrets.add("a cookie", cookie);
        }
    }

    /// Tries something until it fits or time is up.
    pub(crate) async fn until<T, F>(
        &self,
        what: &str,
        patience: Duration,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<Option<T>, Error>>,
    {
        let begun = clock::now();
        loop {
            if let Some(found) = attempt().await? {
                return Ok(found);
            }
            if clock::now().saturating_duration_since(begun) >= patience {
                return Err(Error::plain(format!(
                    "waited {} s for {what}, in vain",
                    patience.as_secs()
                )));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// This program.
    pub(crate) fn program(&self) -> Result<PathBuf, Error> {
        this_program()
    }

    /// The device, once it was started.
    pub(crate) fn device(&mut self) -> Result<&mut Process, Error> {
        self.device
            .as_mut()
            .ok_or_else(|| Error::plain("the device was not started yet"))
    }

    /// Ends all processes in good order.
    pub(crate) async fn end(&mut self) -> Result<(), Error> {
        for process in [&mut self.client, &mut self.cloud] {
            if let Some(mut process) = process.take() {
                let status = process.terminate().await?;
                if !status.success() {
                    return Err(Error::plain(format!(
                        "a process ended with {status} on SIGTERM"
                    )));
                }
            }
        }
        for device in [&mut self.device, &mut self.lamp] {
            if let Some(mut device) = device.take() {
                device.kill().await?;
            }
        }
        Ok(())
    }
}

/// The programs beside this one.
pub(crate) fn sibling(name: &str) -> Result<PathBuf, Error> {
    let program = this_program()?.with_file_name(name);
    if program.exists() {
        return Ok(program);
    }
    Err(Error::plain(format!(
        "{} is missing; `scripts/demo` builds everything the story needs",
        program.display()
    )))
}

fn this_program() -> Result<PathBuf, Error> {
    std::env::current_exe().map_err(|cause| Error::new("cannot find this program itself", cause))
}

#[expect(
    clippy::disallowed_types,
    reason = "a socket that is bound for a moment to find a free port"
)]
fn free_udp_port() -> Result<u16, Error> {
    std::net::UdpSocket::bind(("127.0.0.1", 0))
        .and_then(|socket| socket.local_addr())
        .map(|address| address.port())
        .map_err(|cause| Error::new("loopback has no free UDP port", cause))
}

fn free_tcp_port() -> Result<u16, Error> {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|cause| Error::new("loopback has no free TCP port", cause))
}
