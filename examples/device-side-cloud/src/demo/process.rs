//! A program of the story as a child process: its lines, its standard input, and its end.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;

use crate::error::Error;

/// How long a line that must come is waited for, unless a step says otherwise.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A running child. Its standard error goes to a file beside its data.
#[derive(Debug)]
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    stdin: Option<ChildStdin>,
    lines: mpsc::Receiver<String>,
    log: PathBuf,
}

impl Process {
    /// Starts a program.
    ///
    /// # Errors
    /// It cannot be started or its log cannot be written.
    pub(crate) fn start(
        name: &'static str,
        program: &Path,
        arguments: &[OsString],
        log: &Path,
    ) -> Result<Self, Error> {
        let failed = |cause| {
            Error::new(
                format!("cannot start {} ({})", name, program.display()),
                cause,
            )
        };
        let stderr = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .map_err(failed)?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let stdin = child.stdin.take();
        let stdout = child
            .stdout
            .take()
            .ok_or_else(|| Error::plain(format!("{name} has no standard output")))?;
        let (send, lines) = mpsc::channel(4096);
        tokio::spawn(async move {
            let mut reader = BufReader::new(stdout).lines();
            while let Ok(Some(line)) = reader.next_line().await {
                // Nobody reads any more: the story has moved on, and the pipe must still be emptied.
                drop(send.try_send(line));
            }
        });
        Ok(Self {
            name,
            child,
            stdin,
            lines,
            log: log.to_path_buf(),
        })
    }

    /// Waits for a line that fits, and drops those before it.
    ///
    /// # Errors
    /// None came within `patience`, or the program ended.
    pub(crate) async fn wait_for(
        &mut self,
        what: &str,
        patience: Duration,
        fits: impl Fn(&str) -> bool,
    ) -> Result<String, Error> {
        let mut last = String::new();
        let search = async {
            while let Some(line) = self.lines.recv().await {
                if fits(&line) {
                    return Some(line);
                }
                last = line;
            }
            None
        };
        let found = tokio::time::timeout(patience, search).await;
        let problem = match found {
            Ok(Some(line)) => return Ok(line),
            Ok(None) => "it ended",
            Err(_) => "it did not come in time",
        };
        Err(Error::plain(format!(
            "waited for {} to say {what}, and {problem}; its last line was {last:?}, its log is {}",
            self.name,
            self.log.display()
        )))
    }

    /// The lines that are there by now.
    pub(crate) fn take_lines(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.lines.try_recv().ok()).collect()
    }

    /// Writes a line to the program's standard input.
    ///
    /// # Errors
    /// The program does not read any more.
    pub(crate) async fn tell(&mut self, line: &str) -> Result<(), Error> {
        let failed = |cause| Error::new(format!("{} does not listen", self.name), cause);
        let Some(stdin) = &mut self.stdin else {
            return Err(Error::plain(format!("{} has no standard input", self.name)));
        };
        stdin
            .write_all(format!("{line}\n").as_bytes())
            .await
            .map_err(failed)?;
        stdin.flush().await.map_err(failed)
    }

    /// Ends the program with SIGKILL.
    ///
    /// # Errors
    /// The system refused.
    pub(crate) async fn kill(&mut self) -> Result<(), Error> {
        self.child
            .kill()
            .await
            .map_err(|cause| Error::new(format!("cannot kill {}", self.name), cause))
    }

    /// Asks the program to end with SIGTERM and waits until it has.
    ///
    /// # Errors
    /// It did not end in time.
    pub(crate) async fn terminate(&mut self) -> Result<ExitStatus, Error> {
        if let Some(pid) = self
            .child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(rustix::process::Pid::from_raw)
        {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).map_err(|cause| {
                Error::new(
                    format!("cannot stop {}", self.name),
                    std::io::Error::from(cause),
                )
            })?;
        }
        tokio::time::timeout(PATIENCE, self.child.wait())
            .await
            .map_err(|_| Error::plain(format!("{} did not stop on SIGTERM", self.name)))?
            .map_err(|cause| Error::new(format!("cannot wait for {}", self.name), cause))
    }
}
