//! Clients in a file.

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use coap_psk::PskKey;
use lwm2m_bootstrap::{Known, Provisioner};
use provisioning_proto::lwm2m::objects::{Security, Server};
use provisioning_proto::lwm2m::{
    Account, Clean, Client, Config, Configuration, Event, Missing, Opaque, Verify,
};
use serde::Deserialize;
use zeroize::Zeroizing;

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    /// Where clients come in over DTLS.
    pub(crate) listen: SocketAddr,
    /// Where they come in without, and are believed their names; for tests.
    pub(crate) insecure_listen: Option<SocketAddr>,
    /// Go on when a client refuses something.
    #[serde(default)]
    lenient: bool,
    /// Give packs to those who ask for one.
    #[serde(default)]
    packs: bool,
    /// Read back what was written.
    #[serde(default)]
    read: bool,
    /// What of a client's earlier accounts goes: those of servers, unless this says otherwise.
    #[serde(default)]
    clean: CleanWord,
    /// How long a client may take for an answer.
    request_seconds: Option<u64>,
    #[serde(default)]
    clients: Vec<Entry>,
}

impl File {
    pub(crate) fn bootstraps(&self) -> Config {
        let mut config = Config::default();
        config.lenient = self.lenient;
        config.packs = self.packs;
        config.verify = if self.read {
            Verify::Read
        } else {
            Verify::Discover
        };
        config.request_timeout = self
            .request_seconds
            .map_or(config.request_timeout, Duration::from_secs);
        config
    }
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum CleanWord {
    Nothing,
    #[default]
    Accounts,
    Everything,
}

impl From<CleanWord> for Clean {
    fn from(word: CleanWord) -> Self {
        match word {
            CleanWord::Nothing => Self::Nothing,
            CleanWord::Accounts => Self::Accounts,
            CleanWord::Everything => Self::Everything,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    tenant: String,
    endpoint: String,
    /// The PSK identity at this server.
    identity: String,
    /// The key at this server, 16 bytes in hexadecimal digits.
    key: Zeroizing<String>,
    #[serde(default)]
    servers: Vec<ServerEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServerEntry {
    uri: String,
    short_server_id: u16,
    lifetime: u32,
    /// Without an identity there is no security.
    identity: Option<String>,
    #[serde(default)]
    key: Zeroizing<String>,
}

/// The clients of a file.
#[derive(Clone)]
pub(crate) struct Table(Arc<Vec<Row>>);

struct Row {
    client: Client,
    identity: Vec<u8>,
    key: PskKey,
    configuration: Configuration,
}

impl Table {
    pub(crate) fn new(file: File) -> Result<Self, Box<dyn Error>> {
        let clean = Clean::from(file.clean);
        let rows = file.clients.into_iter().map(|entry| {
            let mut row = row(entry)?;
            row.configuration.clean = clean;
            Ok(row)
        });
        let rows = rows.collect::<Result<_, Box<dyn Error>>>()?;
        Ok(Self(Arc::new(rows)))
    }

    fn find(&self, is: impl Fn(&Row) -> bool) -> Option<&Row> {
        self.0.iter().find(|row| is(row))
    }
}

fn row(entry: Entry) -> Result<Row, Box<dyn Error>> {
    let client = Client {
        tenant: entry.tenant.parse()?,
        endpoint: entry.endpoint.parse()?,
    };
    let key = Zeroizing::new(unhex(&entry.key)?);
    let key = PskKey::new(
        key.as_slice()
            .try_into()
            .map_err(|_| "a key of a client has 16 bytes")?,
    );
    let accounts = entry.servers.into_iter().map(|server| {
        let ServerEntry {
            uri,
            short_server_id,
            lifetime,
            identity,
            key,
        } = server;
        let security = match identity {
            Some(identity) => {
                let key = Opaque::new(unhex(&key)?);
                Security::psk(&uri, short_server_id, identity.as_bytes(), key)
            }
            None => Security::no_sec(&uri, short_server_id),
        };
        Ok::<_, Box<dyn Error>>(Account::new(
            security,
            Server::new(short_server_id, lifetime),
        ))
    });
    Ok(Row {
        client,
        identity: entry.identity.into_bytes(),
        key,
        configuration: Configuration::new(accounts.collect::<Result<_, _>>()?),
    })
}

fn unhex(text: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    if !text.is_ascii() || text.len() % 2 == 1 {
        return Err("a key is written in pairs of hexadecimal digits".into());
    }
    let pairs = (0..text.len())
        .step_by(2)
        .filter_map(|at| text.get(at..at.saturating_add(2)));
    // What is wrong with it is not said: it is a secret.
    let bytes = pairs.map(|pair| {
        u8::from_str_radix(pair, 16).map_err(|_| "a key has a letter that is no hexadecimal digit")
    });
    Ok(bytes.collect::<Result<_, _>>()?)
}

impl Provisioner for Table {
    async fn known(&self, identity: &[u8]) -> Option<Known> {
        let row = self.find(|row| row.identity == identity)?;
        let (client, key) = (row.client.clone(), row.key.clone());
        Some(Known { client, key })
    }

    async fn believed(&self, endpoint: &str) -> Option<Client> {
        let row = self.find(|row| row.client.endpoint.as_str() == endpoint)?;
        Some(row.client.clone())
    }

    async fn configuration(
        &self,
        client: &Client,
        _: Option<IpAddr>,
    ) -> Result<Configuration, Missing> {
        let row = self.find(|row| row.client == *client);
        let row = row.ok_or(Missing::Nothing)?;
        Ok(row.configuration.clone())
    }

    async fn ended(&self, event: Event) {
        let told = match event {
            Event::Finished {
                client,
                placed,
                refused,
                ..
            } => {
                let places: Vec<_> = placed
                    .iter()
                    .map(|it| {
                        format!(
                            "{} at /0/{} and /1/{}",
                            it.short_server_id, it.security, it.server
                        )
                    })
                    .collect();
                format!(
                    "{} finished: {}; {} refused",
                    client.endpoint,
                    places.join(", "),
                    refused.len()
                )
            }
            Event::Packed { client, .. } => format!("{} was given a pack", client.endpoint),
            Event::Failed { client, cause, .. } => format!("{} failed: {cause}", client.endpoint),
            Event::WrongEndpoint { client, claimed } => {
                format!("{} claims to be {claimed}", client.endpoint)
            }
            _ => return,
        };
        println!("{told}");
    }
}
