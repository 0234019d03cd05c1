use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::{Bundle, News};
use crate::cbor::{from_cbor, to_cbor};
use crate::time::unix_millis;
use crate::{Error, ErrorKind, RegistrationId, TenantId, TransferId};

/// What a file begins with; its last byte is the number of the form, and one with another is refused.
const MAGIC: [u8; 8] = *b"dsc-mov\x01";
/// The longest head, in bytes.
const MAX_HEAD: usize = 2048;
/// How much longer what is sealed may be than what it holds, in bytes.
const MAX_SEAL: usize = 64;

/// A message between two instances that do not reach each other, as a file.
///
/// | bytes | |
/// | --- | --- |
/// | 8 | `dsc-mov` and the number of the form, 1 |
/// | 2 | how long the head is, at most 2048, the higher byte first |
/// | | the head: a [`FileHead`], as CBOR |
/// | the rest | the content, sealed by the caller with an authenticated cipher; all that stands before it is the associated data |
///
/// So nothing of the head can be changed, and no file passes for one of another purpose, instance, tenant, transfer or device. The
/// nonce is the caller's, and stands where the caller puts it. The content is a [`Bundle`] in its written form for
/// [`Purpose::Registration`], nothing for [`Purpose::Withdrawal`], and a number for [`Purpose::Receipt`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TransferFile {
    head: FileHead,
    /// The associated data, as it was read.
    about: Vec<u8>,
    sealed: Vec<u8>,
}

/// What stands in the clear in a [`TransferFile`].
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "it is the written form")]
#[serde(deny_unknown_fields)]
pub struct FileHead {
    /// What it is for.
    pub purpose: Purpose,
    /// Whose it is: what both instances know it by, as a digest of what it shows the other one.
    pub sender: [u8; 32],
    /// Who is to read it, likewise.
    pub receiver: [u8; 32],
    /// The tenant, at both.
    pub tenant: TenantId,
    /// The transfer.
    pub transfer: TransferId,
    /// The device.
    pub device: RegistrationId,
    /// When it is of no use any more, in Unix milliseconds; receipts and withdrawals stay true.
    pub ends_at: u64,
}

/// What a [`TransferFile`] is for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[expect(clippy::exhaustive_enums, reason = "each of them must be acted on")]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// The device is offered.
    Registration,
    /// It is taken back.
    Withdrawal,
    /// What the other instance says.
    Receipt,
}

/// What is sealed in a [`TransferFile`].
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "each of them must be acted on")]
pub enum FileContent {
    /// Of [`Purpose::Registration`].
    Registration(Box<Bundle>),
    /// Of [`Purpose::Withdrawal`].
    Withdrawal,
    /// Of [`Purpose::Receipt`].
    Receipt(News),
}

impl TransferFile {
    /// The longest file, in bytes.
    pub const MAX: usize = MAGIC.len() + 2 + MAX_HEAD + Bundle::MAX + MAX_SEAL;

    /// Seals a content: `seal` is given the associated data and what is to be sealed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidValue`] for a content that is not what the head says; [`ErrorKind::Malformed`] for one that is too long;
    /// those of `seal`.
    pub fn seal(
        head: FileHead,
        content: &FileContent,
        seal: impl FnOnce(&[u8], &[u8]) -> Result<Vec<u8>, Error>,
    ) -> Result<Self, Error> {
        let plain = match (head.purpose, content) {
            (Purpose::Registration, FileContent::Registration(bundle)) if head.is_of(bundle) => {
                bundle.encode()?
            }
            (Purpose::Withdrawal, FileContent::Withdrawal) => Vec::new(),
            (Purpose::Receipt, FileContent::Receipt(news)) => vec![number(*news)],
            _ => return Err(ErrorKind::InvalidValue.into()),
        };
        let written = to_cbor(&head)?;
        let len = u16::try_from(written.len()).ok();
        let len = len.filter(|len| usize::from(*len) <= MAX_HEAD);
        let len = len.ok_or(ErrorKind::Malformed)?;
        let about = [&MAGIC[..], &len.to_be_bytes(), &written].concat();
        let sealed = seal(&about, &plain)?;
        if sealed.len() > Bundle::MAX + MAX_SEAL {
            return Err(ErrorKind::Malformed.into());
        }
        Ok(Self {
            head,
            about,
            sealed,
        })
    }

    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        [&self.about[..], &self.sealed].concat()
    }

    /// Reads one; nothing that it says is true before it was [opened](Self::open).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownFormat`] for the form of another release; [`ErrorKind::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > Self::MAX {
            return Err(ErrorKind::Malformed.into());
        }
        let (magic, rest) = bytes.split_first_chunk().ok_or(ErrorKind::Malformed)?;
        if *magic != MAGIC {
            let ours = magic.split_last().map(|(_, name)| name);
            return Err(match ours == MAGIC.split_last().map(|(_, name)| name) {
                true => ErrorKind::UnknownFormat.into(),
                false => ErrorKind::Malformed.into(),
            });
        }
        let (len, rest) = rest.split_first_chunk().ok_or(ErrorKind::Malformed)?;
        let len = usize::from(u16::from_be_bytes(*len));
        if len > MAX_HEAD {
            return Err(ErrorKind::Malformed.into());
        }
        let (head, sealed) = rest.split_at_checked(len).ok_or(ErrorKind::Malformed)?;
        if sealed.len() > Bundle::MAX + MAX_SEAL {
            return Err(ErrorKind::Malformed.into());
        }
        let (about, _) = bytes
            .split_at_checked(bytes.len().saturating_sub(sealed.len()))
            .ok_or(ErrorKind::Malformed)?;
        Ok(Self {
            head: from_cbor(head)?,
            about: about.to_vec(),
            sealed: sealed.to_vec(),
        })
    }

    /// What stands in the clear: who may open it, and about what.
    #[must_use]
    pub fn head(&self) -> &FileHead {
        &self.head
    }

    /// Opens it: `open` is given the associated data and what is sealed.
    ///
    /// # Errors
    ///
    /// Those of `open`; [`ErrorKind::Malformed`] for a content that is not what the head says; [`ErrorKind::UnknownFormat`] for the form
    /// of another release.
    pub fn open(
        &self,
        open: impl FnOnce(&[u8], &[u8]) -> Result<Vec<u8>, Error>,
    ) -> Result<FileContent, Error> {
        let plain = open(&self.about, &self.sealed)?;
        match (self.head.purpose, &plain[..]) {
            (Purpose::Registration, plain) => {
                let bundle = Bundle::decode(plain)?;
                if !self.head.is_of(&bundle) {
                    return Err(ErrorKind::Malformed.into());
                }
                Ok(FileContent::Registration(Box::new(bundle)))
            }
            (Purpose::Withdrawal, []) => Ok(FileContent::Withdrawal),
            (Purpose::Receipt, [one]) => {
                let news = news(*one).ok_or(ErrorKind::UnknownFormat)?;
                Ok(FileContent::Receipt(news))
            }
            _ => Err(ErrorKind::Malformed.into()),
        }
    }
}

impl FileHead {
    /// Whether it comes too late: a registration whose transfer is over. What is said of a transfer stays true.
    #[must_use]
    pub fn is_over(&self, wall: SystemTime) -> bool {
        self.purpose == Purpose::Registration && self.ends_at <= unix_millis(wall)
    }

    /// That of the answer: the other way, and about the same.
    #[must_use]
    pub fn receipt(&self) -> Self {
        Self {
            purpose: Purpose::Receipt,
            sender: self.receiver,
            receiver: self.sender,
            ..self.clone()
        }
    }

    fn is_of(&self, bundle: &Bundle) -> bool {
        self.transfer == bundle.transfer && self.device == bundle.id
    }
}

/// As it is written, for ever.
fn number(news: News) -> u8 {
    match news {
        News::Accepted => 1,
        News::Refused => 2,
        News::Seen => 3,
        News::Withdrawn => 4,
    }
}

fn news(number: u8) -> Option<News> {
    let all = [News::Accepted, News::Refused, News::Seen, News::Withdrawn];
    all.into_iter().find(|one| self::number(*one) == number)
}
