//! What two instances that do not reach each other say of a transfer, in files that operators carry.
//!
//! | file | written by | read by |
//! | --- | --- | --- |
//! | registration | [`FileOrder::Export`] at the instance that the device leaves | [`FileOrder::Import`] at the other one |
//! | withdrawal | the same, of a transfer that is being aborted | the same |
//! | receipt | [`FileOrder::Import`], each time | [`FileOrder::Receipt`] at the instance that exported |
//!
//! They are the words of the [requests](super::instances) that instances with a URL send each other, and stay as true.

mod exporting;
mod next;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use provisioning_proto::migration::{FileContent, FileHead, News, Purpose, TransferFile};
use provisioning_proto::{ErrorKind, RegistrationId, TenantId, TransferId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing::info;

use super::super::Provisioning;
use super::instances::{Instance, Name, Word};
use crate::clock;
use crate::error::Error;

/// What an admin command wants of a file.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FileOrder {
    /// Write what the other instance is to know now; a transfer that there is none of yet is planned.
    Export {
        tenant: String,
        device: String,
        instance: String,
        hours: u32,
    },
    /// Take what another instance wrote, in base64, and write the receipt.
    Import { file: String },
    /// Take the receipt of another instance, in base64.
    Receipt { file: String },
}

/// A file on its way to the operator, and what it is.
#[derive(Deserialize, Serialize)]
pub(crate) struct Carried {
    pub(crate) purpose: Purpose,
    pub(crate) tenant: TenantId,
    pub(crate) device_id: RegistrationId,
    pub(crate) transfer_id: TransferId,
    /// What the instance that is to read it is called here.
    pub(crate) instance: String,
    /// What a receipt says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) news: Option<Word>,
    /// In base64.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) file: String,
}

impl Provisioning {
    /// Carries out what an admin command wants of a file.
    ///
    /// # Errors
    /// It cannot be done; the words say what the operator does next.
    pub(in super::super) async fn carry(&self, order: FileOrder) -> Result<Value, Error> {
        let carried = match order {
            FileOrder::Export {
                tenant,
                device,
                instance,
                hours,
            } => self.export(&tenant, &device, &instance, hours).await?,
            FileOrder::Import { file } => self.import(&file).await?,
            FileOrder::Receipt { file } => return self.take_receipt(&file).await,
        };
        serde_json::to_value(carried).map_err(|cause| Error::new("no answer", cause))
    }

    /// What the file wants is done before the receipt says so. A file that was imported before is answered with what is true now.
    async fn import(&self, file: &str) -> Result<Carried, Error> {
        let file = decoded(file)?;
        if file.head().purpose == Purpose::Receipt {
            let text = "the file is a receipt: `provisioning migration receipt` takes it, at the instance that exported";
            return Err(Error::plain(text));
        }
        let instance = self.0.migrating.instances.between(file.head())?;
        let (head, content) = (file.head(), opened(instance, &file)?);
        let name = Name {
            transfer: head.transfer.clone(),
            id: head.device.clone(),
        };
        let word = match content {
            FileContent::Registration(bundle) => match self.taken(instance, &name) {
                Word::None
                    if head.is_over(clock::wall()) && !self.was_withdrawn(instance, &name) =>
                {
                    let text = "the time of the transfer is over, and nothing was taken in: export again where the file comes \
                                from, which writes the withdrawal that ends the transfer, and import that";
                    return Err(Error::plain(text));
                }
                Word::None => {
                    let taken = self.take(instance, &name, *bundle).await;
                    taken.map_err(|(_, cause)| {
                        let text = "the device was not taken in now; when that is put right, the file can be imported again";
                        Error::new(text, cause)
                    })?
                }
                known => known,
            },
            FileContent::Withdrawal => {
                let given = self.give_back(instance, &name).await;
                given.map_err(|(_, cause)| {
                    let text = "the device was not given back now; the file can be imported again";
                    Error::new(text, cause)
                })?
            }
            FileContent::Receipt(_) => return Err(Error::plain("the file is a receipt")),
        };
        let news = word.news();
        let news = news.ok_or_else(|| Error::plain("there is nothing to say of the file"))?;
        info!(tenant = %head.tenant, device = %head.device, instance = instance.name, ?news, purpose = ?head.purpose, "a file was imported");
        let mut receipt = carried(instance, head.receipt(), &FileContent::Receipt(news))?;
        receipt.news = Some(word);
        Ok(receipt)
    }

    /// The migration as it is when the news of the receipt is durable.
    async fn take_receipt(&self, file: &str) -> Result<Value, Error> {
        let file = decoded(file)?;
        let head = file.head();
        if head.purpose != Purpose::Receipt {
            let text = "the file is no receipt: `provisioning migration import` takes it, at the instance for which it was exported";
            return Err(Error::plain(text));
        }
        let instance = self.0.migrating.instances.between(head)?;
        let FileContent::Receipt(news) = opened(instance, &file)? else {
            return Err(Error::plain("the file is no receipt"));
        };
        self.hear(head, news).await?;
        info!(tenant = %head.tenant, device = %head.device, instance = instance.name, ?news, "a receipt was taken");
        let path = format!("migrations/{}", head.device);
        self.asked(&head.tenant, "GET", &path, &Value::Null).await
    }

    async fn hear(&self, head: &FileHead, news: News) -> Result<(), Error> {
        let heard = self.order(|machine, wall, now| {
            machine.hear(&head.tenant, &head.device, &head.transfer, news, wall, now)
        });
        heard.await.map_err(|kind| match kind {
            ErrorKind::UnknownEntry => Error::plain(format!(
                "the receipt is of the transfer {}, and the device has another one by now, or none: nothing was changed",
                head.transfer
            )),
            kind => Error::new("the receipt was not taken; it can be taken again", kind),
        })
    }
}

/// Seals a content for the instance.
fn carried(instance: &Instance, head: FileHead, content: &FileContent) -> Result<Carried, Error> {
    let mut failed = None;
    let file = TransferFile::seal(head, content, |about, plain| {
        instance.seal_about(about, plain).map_err(|cause| {
            failed = Some(cause);
            ErrorKind::Unavailable.into()
        })
    });
    let file = file.map_err(|cause| match failed {
        Some(failed) => failed,
        None => Error::new("the file cannot be written", cause),
    })?;
    let head = file.head();
    Ok(Carried {
        purpose: head.purpose,
        tenant: head.tenant.clone(),
        device_id: head.device.clone(),
        transfer_id: head.transfer.clone(),
        instance: instance.name.clone(),
        news: None,
        file: STANDARD.encode(file.encode()),
    })
}

/// Nothing that it says counts before it was [`opened`].
fn decoded(file: &str) -> Result<TransferFile, Error> {
    let bytes = STANDARD.decode(file);
    let bytes = bytes.map_err(|cause| Error::new("the file is not in base64", cause))?;
    TransferFile::decode(&bytes).map_err(unreadable)
}

fn opened(instance: &Instance, file: &TransferFile) -> Result<FileContent, Error> {
    let mut fits = false;
    let content = file.open(|about, sealed| {
        let plain = instance.open_about(about, sealed);
        fits = plain.is_some();
        let plain = plain.ok_or(ErrorKind::Malformed)?;
        Ok(plain.to_vec())
    });
    content.map_err(|cause| {
        if fits {
            return unreadable(cause);
        }
        let text = format!(
            "the file does not open: either it was altered on the way, which its SHA-256 tells, and is to be carried again; or key_file \
             of {:?} here is not the one there",
            instance.name
        );
        Error::plain(text)
    })
}

fn unreadable(cause: provisioning_proto::Error) -> Error {
    Error::plain(match cause.kind() {
        ErrorKind::UnknownFormat => {
            "another release wrote the file: let both instances be of the same one, and export again"
        }
        _ => {
            "the file is damaged, or none of a migration: compare its SHA-256 with the one that was printed when it was written, and \
             carry it again"
        }
    })
}

#[cfg(test)]
mod tests;
