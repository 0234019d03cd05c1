//! The operator's side: admin commands go to the running cloud over a socket in its data directory, one JSON line each way.

use std::path::{Path, PathBuf};

use provisioning_proto::migration::TransferFile;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tracing::{info, warn};

use crate::certification::{AuthorityDeed, CertificateDeed};
use crate::error::Error;
use crate::keys::Kind;
use crate::provisioning;

/// The longest request line, in bytes: that of a registration in a file, of which base64 makes 4 bytes of 3.
const MAX_LINE: u64 = 512 * 1024;
const _: () = assert!(TransferFile::MAX.div_ceil(3) as u64 * 4 + 1024 < MAX_LINE);

/// A client-side cloud that is to be registered.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct NewClient {
    pub(crate) name: String,
    pub(crate) redirect_uris: Vec<String>,
    pub(crate) public: bool,
    /// The programme that it is a client of; then the rest is what that asks for.
    pub(crate) programme: Option<String>,
    /// What its redirect URIs have of their own.
    pub(crate) own: String,
    /// It has to push its authorization requests.
    pub(crate) require_pushed_requests: bool,
    /// All its access tokens are bound to a key.
    pub(crate) dpop_bound: bool,
    /// It may ask for codes for devices without a browser.
    pub(crate) device_flow: bool,
    /// The JWKs of its public keys, by which it authenticates then.
    pub(crate) keys: Vec<String>,
    /// APIs beside this cloud's that it may name.
    pub(crate) resources: Vec<String>,
}

/// What an operator wants to have done.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", tag = "order")]
pub(crate) enum Order {
    AddProduct {
        name: String,
        dynamic_activation: bool,
        /// The template's JSON.
        template: Option<String>,
    },
    SetTemplate {
        product: String,
        template: String,
    },
    AddDevice {
        product: String,
        owner: String,
        device_key: Option<String>,
    },
    AddUser {
        name: String,
        password: Password,
    },
    AddClient(NewClient),
    AddClientKey {
        client: String,
        key: String,
    },
    RetireClientKeys {
        client: String,
    },
    AddClientSecret {
        client: String,
    },
    RetireClientSecrets {
        client: String,
    },
    ListDevices {
        owner: String,
        after: Option<String>,
        limit: usize,
    },
    TransferDevice {
        device: String,
        to: String,
    },
    RemoveDevice {
        device: String,
    },
    ExportUser {
        name: String,
    },
    EraseUser {
        name: String,
    },
    ListGrants {
        user: String,
    },
    EndGrant {
        user: String,
        grant: String,
    },
    ListKeys,
    AddKey {
        kind: Kind,
    },
    RetireKey {
        kind: Kind,
        number: u8,
        force: bool,
    },
    BackUp {
        dir: PathBuf,
    },
    Provisioning(provisioning::Order),
    Authority {
        tenant: String,
        ca: String,
        #[serde(flatten)]
        deed: AuthorityDeed,
    },
    Certificate {
        tenant: String,
        #[serde(flatten)]
        deed: CertificateDeed,
    },
}

/// A password on its way to be hashed; it does not print and is wiped.
#[derive(Deserialize, Serialize)]
#[serde(transparent)]
pub(crate) struct Password(zeroize::Zeroizing<String>);

impl Password {
    pub(crate) fn new(text: String) -> Self {
        Self(text.into())
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(..)")
    }
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Done(Value),
    Refused(String),
}

/// Where the socket of a cloud is.
pub(crate) fn socket(data_dir: &Path) -> PathBuf {
    data_dir.join("admin.sock")
}

/// Asks the running cloud and waits for its answer.
///
/// # Errors
/// The cloud is not running, or refused.
pub(crate) async fn ask(data_dir: &Path, order: &Order) -> Result<Value, Error> {
    let path = socket(data_dir);
    let mut stream = UnixStream::connect(&path).await.map_err(|cause| {
        Error::new(
            format!(
                "no cloud answers at {}; start it with `device-side-cloud serve`",
                path.display()
            ),
            cause,
        )
    })?;
    let broken = |cause| Error::new("the cloud ended the conversation", cause);
    let mut line = serde_json::to_vec(order)
        .map_err(|cause| Error::new("the command cannot be written", cause))?;
    line.push(b'\n');
    stream.write_all(&line).await.map_err(broken)?;
    let mut answer = String::new();
    BufReader::new(stream)
        .read_line(&mut answer)
        .await
        .map_err(broken)?;
    match serde_json::from_str(&answer) {
        Ok(Answer::Done(value)) => Ok(value),
        Ok(Answer::Refused(why)) => Err(Error::plain(why)),
        Err(cause) => Err(Error::new("the cloud gave no proper answer", cause)),
    }
}

/// Listens for operators; only the user that runs the cloud can reach the socket.
///
/// # Errors
/// The socket cannot be made.
pub(crate) fn listen(data_dir: &Path) -> Result<UnixListener, Error> {
    use std::os::unix::fs::PermissionsExt as _;

    let path = socket(data_dir);
    // The journal's lock says that no other cloud runs here, so a socket that is there is a dead one's.
    drop(std::fs::remove_file(&path));
    let failed = |cause| Error::new(format!("cannot listen at {}", path.display()), cause);
    let listener = UnixListener::bind(&path).map_err(failed)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listener)
}

/// Answers operators one after another, for as long as the task is let live.
pub(crate) async fn serve<H, F>(listener: UnixListener, handler: H)
where
    H: Fn(Order) -> F,
    F: Future<Output = Result<Value, Error>>,
{
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                if let Err(cause) = converse(stream, &handler).await {
                    warn!(error = cause.chain(), "an operator's command broke off");
                }
            }
            Err(cause) => {
                warn!(%cause, "cannot accept an operator");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

async fn converse<H, F>(stream: UnixStream, handler: &H) -> Result<(), Error>
where
    H: Fn(Order) -> F,
    F: Future<Output = Result<Value, Error>>,
{
    let broken = |cause| Error::new("the operator's side ended the conversation", cause);
    let (read, mut write) = stream.into_split();
    let mut line = Vec::new();
    let mut read = BufReader::new(read.take(MAX_LINE));
    tokio::time::timeout(
        std::time::Duration::from_secs(10),
        read.read_until(b'\n', &mut line),
    )
    .await
    .map_err(|cause| Error::new("no command came", cause))?
    .map_err(broken)?;
    let answer = match serde_json::from_slice::<Order>(&line) {
        Ok(order) => match handler(order).await {
            Ok(value) => {
                info!("an operator's command was done");
                Answer::Done(value)
            }
            Err(error) => Answer::Refused(error.chain()),
        },
        Err(cause) => Answer::Refused(format!("not a command of this program: {cause}")),
    };
    let mut line = serde_json::to_vec(&answer).map_err(|cause| Error::new("no answer", cause))?;
    line.push(b'\n');
    write.write_all(&line).await.map_err(broken)
}
