//! The commands of the operator and the composition.

use std::time::{Instant, SystemTime};

use super::tasks::{Answer, CommandWork, Pause, Task, Work};
use super::{AuthorizationServer, millis};
use crate::error::{Error, ErrorKind};
use crate::secret::{ClientSecret, sha256};
use crate::server::client_key::ClientKey;
use crate::server::grants::{Command, EndReason, Grants};
use crate::server::ids::{ClientId, GrantId, RequestId};
use crate::server::output::Event;
use crate::server::registration::{Client, ClientCommand, Registration};
use crate::user_id::UserId;

impl AuthorizationServer {
    /// Registers a client; its secret, if it has one, is told once by [`Event::ClientRegistered`].
    ///
    /// # Errors
    /// As of [`Registration::check`]; [`ErrorKind::InvalidConfig`] when one of its keys is of an algorithm that is not taken
    /// ([`Config::client_assertions`](crate::server::Config::client_assertions)); [`ErrorKind::Full`] when too much is in progress.
    pub fn register_client(
        &mut self,
        registration: Registration,
        entropy: [u8; 32],
        wall: SystemTime,
        now: Instant,
    ) -> Result<RequestId, Error> {
        registration.check()?;
        registration
            .keys
            .iter()
            .try_for_each(|key| self.takes(key))?;
        let secret = registration
            .has_secret()
            .then(|| ClientSecret::generate(entropy));
        let registration = Box::new(registration);
        self.command(
            CommandWork::Register {
                registration,
                secret,
            },
            wall,
            now,
        )
    }

    /// Adds a secret to a confidential client; the old ones go on working until
    /// [`retire_client_secrets`](Self::retire_client_secrets).
    ///
    /// # Errors
    /// [`ErrorKind::Full`] when too much is in progress.
    pub fn add_client_secret(
        &mut self,
        client: ClientId,
        entropy: [u8; 32],
        wall: SystemTime,
        now: Instant,
    ) -> Result<RequestId, Error> {
        let secret = ClientSecret::generate(entropy);
        self.command(CommandWork::AddSecret { client, secret }, wall, now)
    }

    /// Ends all secrets of a client but the newest.
    ///
    /// # Errors
    /// [`ErrorKind::Full`] when too much is in progress.
    pub fn retire_client_secrets(
        &mut self,
        client: ClientId,
        wall: SystemTime,
        now: Instant,
    ) -> Result<RequestId, Error> {
        self.command(CommandWork::RetireSecrets { client }, wall, now)
    }

    /// Adds a key to a client that authenticates by assertions; the old ones go on working until
    /// [`retire_client_keys`](Self::retire_client_keys). Ends with [`Event::Done`].
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] when it is of an algorithm that is not taken, [`ErrorKind::Full`] when too much is in progress.
    pub fn add_client_key(
        &mut self,
        client: ClientId,
        key: ClientKey,
        wall: SystemTime,
        now: Instant,
    ) -> Result<RequestId, Error> {
        self.takes(&key)?;
        let key = Box::new(key);
        self.command(CommandWork::AddKey { client, key }, wall, now)
    }

    /// Ends all keys of a client but the newest.
    ///
    /// # Errors
    /// [`ErrorKind::Full`] when too much is in progress.
    pub fn retire_client_keys(
        &mut self,
        client: ClientId,
        wall: SystemTime,
        now: Instant,
    ) -> Result<RequestId, Error> {
        self.command(CommandWork::RetireKeys { client }, wall, now)
    }

    fn takes(&self, key: &ClientKey) -> Result<(), Error> {
        let algorithms = self.config.assertion_algorithms();
        if algorithms.contains(&key.algorithm()) {
            Ok(())
        } else {
            Err(ErrorKind::InvalidConfig.into())
        }
    }

    /// Lists the grants of a user that are alive, for a page of linked accounts.
    ///
    /// # Errors
    /// [`ErrorKind::Full`] when too much is in progress.
    pub fn list_grants(
        &mut self,
        account: UserId,
        wall: SystemTime,
        now: Instant,
    ) -> Result<RequestId, Error> {
        self.command(CommandWork::ListGrants { account }, wall, now)
    }

    /// Ends a grant for the user or an operator: all its tokens are dead once it is done.
    ///
    /// # Errors
    /// [`ErrorKind::Full`] when too much is in progress.
    pub fn end_grant(
        &mut self,
        account: UserId,
        grant: GrantId,
        wall: SystemTime,
        now: Instant,
    ) -> Result<RequestId, Error> {
        self.command(CommandWork::EndGrant { account, grant }, wall, now)
    }

    /// Says that everything made under an ended grant has ended, durably; the grant is forgotten.
    ///
    /// # Errors
    /// [`ErrorKind::Full`] when too much is in progress.
    pub fn settle_grant_end(
        &mut self,
        account: UserId,
        grant: GrantId,
        wall: SystemTime,
        now: Instant,
    ) -> Result<RequestId, Error> {
        self.command(CommandWork::SettleGrantEnd { account, grant }, wall, now)
    }

    /// Looks after a stream whose `due` has come: ends what has expired and tells again what was
    /// not settled, then [`Event::Done`]. Called for every due stream after a start, before anything
    /// leaves that was made under a grant, and from time to time.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidIdentifier`] when it is no stream of a user's grants,
    /// [`ErrorKind::Full`] when too much is in progress.
    pub fn wake(
        &mut self,
        stream: &str,
        wall: SystemTime,
        now: Instant,
    ) -> Result<RequestId, Error> {
        let user = stream.strip_prefix("grants/").unwrap_or_default();
        let account = user.parse()?;
        self.command(CommandWork::Wake { account }, wall, now)
    }

    fn command(
        &mut self,
        work: CommandWork,
        wall: SystemTime,
        now: Instant,
    ) -> Result<RequestId, Error> {
        if !self.has_room() {
            return Err(ErrorKind::Full.into());
        }
        let id = self.next_id(now);
        self.start(id, Work::Command(work), wall);
        Ok(id)
    }

    pub(super) fn step_command(&mut self, id: RequestId, task: &mut Task) -> Result<Answer, Pause> {
        let Work::Command(work) = &task.work else {
            return Err(Pause::Unavailable);
        };
        match work {
            CommandWork::Register {
                registration,
                secret,
            } => {
                let client = registration.client_id.clone();
                let secret = secret.clone();
                let command = ClientCommand::Register {
                    registration: registration.clone(),
                    secret_hash: secret.as_ref().map(hash),
                };
                self.change_client(id, task, client, &command, Some(secret))
            }
            CommandWork::AddSecret { client, secret } => {
                let (client, secret) = (client.clone(), secret.clone());
                let secret_hash = hash(&secret);
                let command = ClientCommand::AddSecret { secret_hash };
                self.change_client(id, task, client, &command, Some(Some(secret)))
            }
            CommandWork::RetireSecrets { client } => {
                let client = client.clone();
                self.change_client(id, task, client, &ClientCommand::RetireOldSecrets, None)
            }
            CommandWork::AddKey { client, key } => {
                let (client, key) = (client.clone(), (**key).clone());
                self.change_client(id, task, client, &ClientCommand::AddKey { key }, None)
            }
            CommandWork::RetireKeys { client } => {
                let client = client.clone();
                self.change_client(id, task, client, &ClientCommand::RetireOldKeys, None)
            }
            CommandWork::ListGrants { account } => {
                let stream = Grants::stream(account);
                let grants = self.grants.read(&stream, id, &mut self.desk);
                let grants = grants.ok_or(Pause::Wait)?.summaries(millis(task.wall));
                Ok(Answer::Event(Event::Grants {
                    command: id,
                    grants,
                }))
            }
            CommandWork::EndGrant { account, grant } => {
                let reason = EndReason::Unlinked;
                let (account, grant) = (account.clone(), *grant);
                self.change_account(id, task, &account, &Command::End { grant, reason })
            }
            CommandWork::SettleGrantEnd { account, grant } => {
                let (account, grant) = (account.clone(), *grant);
                self.change_account(id, task, &account, &Command::Settle { grant })
            }
            CommandWork::Wake { account } => {
                let account = account.clone();
                if task.committed.is_none() {
                    let stream = Grants::stream(&account);
                    let held = self.grants.read_to_write(&stream, id, &mut self.desk);
                    held.ok_or(Pause::Wait)?;
                    // What this very command ends is told when that is durable.
                    self.announce_ends(&account);
                }
                let _ = self.change_grants(id, task, &account, &Command::Expire)?;
                Ok(Answer::Event(Event::Done { command: id }))
            }
        }
    }

    /// Changes a client; `told` is the secret to tell at the end, when the command makes one.
    fn change_client(
        &mut self,
        id: RequestId,
        task: &mut Task,
        client: ClientId,
        command: &ClientCommand,
        told: Option<Option<ClientSecret>>,
    ) -> Result<Answer, Pause> {
        if task.committed.take().is_none() {
            let stream = Client::stream(&client);
            let held = self.clients.read_to_write(&stream, id, &mut self.desk);
            match held.ok_or(Pause::Wait)?.decide(command, millis(task.wall)) {
                Err(kind) => return Ok(Answer::Event(Event::CommandFailed { command: id, kind })),
                Ok(change) => {
                    task.pending = Some(Ok(crate::server::grants::Reply::Done));
                    self.clients
                        .write(&stream, id, vec![change], &mut self.desk)
                        .map_err(|_| Pause::Unavailable)?;
                    return Err(Pause::Wait);
                }
            }
        }
        Ok(Answer::Event(match told {
            Some(secret) => Event::ClientRegistered {
                command: id,
                client,
                secret,
            },
            None => Event::Done { command: id },
        }))
    }

    fn change_account(
        &mut self,
        id: RequestId,
        task: &mut Task,
        account: &UserId,
        command: &Command,
    ) -> Result<Answer, Pause> {
        let event = match self.change_grants(id, task, account, command)? {
            Ok(_) => Event::Done { command: id },
            Err(_) => Event::CommandFailed {
                command: id,
                kind: ErrorKind::NotFound,
            },
        };
        Ok(Answer::Event(event))
    }
}

fn hash(secret: &ClientSecret) -> [u8; 32] {
    sha256(secret.expose().as_bytes())
}
