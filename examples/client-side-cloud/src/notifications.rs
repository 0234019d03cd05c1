//! Every notification that was taken, in order, in a file of JSON lines that outlives the process.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use account_linking::UserId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uci_client::Notification;
use uci_model::{Content, Limits};

use crate::Failure;

/// One notification as it is listed.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Entry {
    /// Counts all notifications of this program, from 1.
    pub(crate) number: u64,
    /// The local user.
    pub(crate) user: UserId,
    /// The subscription as this side knows it.
    pub(crate) id: String,
    /// The subscription as the device-side cloud knows it.
    pub(crate) subscription: String,
    /// The position in the subscription, from 0.
    pub(crate) sequence: u64,
    /// The event type.
    #[serde(rename = "type")]
    pub(crate) event_type: String,
    /// Unix seconds, by the device-side cloud's clock.
    pub(crate) timestamp: u64,
    /// Whether notifications before it are missing.
    pub(crate) gap: bool,
    /// What it came as.
    pub(crate) format: Option<String>,
    /// The body, as JSON whatever it came as.
    pub(crate) body: Value,
}

/// The list and its file.
#[derive(Debug)]
pub(crate) struct Notifications(Mutex<List>);

#[derive(Debug)]
struct List {
    file: File,
    entries: Vec<Entry>,
}

impl Notifications {
    /// Reads the list in `folder`, or begins one. A line that was cut off when the process was killed is left out.
    pub(crate) fn open(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join("notifications.jsonl");
        let failure = |error| Failure::of(format!("cannot open {}", path.display()), error);
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .read(true)
            .open(&path)
            .map_err(failure)?;
        let mut entries: Vec<Entry> = Vec::new();
        let mut whole = true;
        for line in BufReader::new(&file).split(b'\n') {
            let line = line.map_err(failure)?;
            whole = serde_json::from_slice(&line)
                .map(|entry| entries.push(entry))
                .is_ok();
        }
        if !whole {
            file.write_all(b"\n").map_err(failure)?;
        }
        Ok(Self(Mutex::new(List { file, entries })))
    }

    /// Adds a notification of `user`.
    pub(crate) fn add(&self, user: &UserId, notification: &Notification) {
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = Entry {
            number: list
                .entries
                .last()
                .map_or(1, |last| last.number.saturating_add(1)),
            user: user.clone(),
            id: notification.id.to_string(),
            subscription: notification.subscription.to_string(),
            sequence: notification.sequence,
            event_type: notification.event.event_type().as_str().to_owned(),
            timestamp: notification.timestamp.get(),
            gap: notification.gap,
            format: notification
                .content
                .as_ref()
                .map(|content| content.format().as_str().to_owned()),
            body: notification.content.as_ref().map_or(Value::Null, to_json),
        };
        let line = serde_json::to_vec(&entry).map(|mut line| {
            line.push(b'\n');
            line
        });
        if let Err(error) = line
            .map_err(std::io::Error::from)
            .and_then(|line| list.file.write_all(&line))
        {
            tracing::error!(%error, "a notification is not in the file");
        }
        list.entries.push(entry);
    }

    /// The notifications of `user` after number `after`.
    pub(crate) fn of(&self, user: &UserId, after: u64) -> Vec<Entry> {
        let list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        list.entries
            .iter()
            .filter(|entry| entry.user == *user && entry.number > after)
            .cloned()
            .collect()
    }
}

/// Content as JSON, whatever it came as; null when it cannot be read.
pub(crate) fn to_json(content: &Content) -> Value {
    let value = content.decode(&Limits::default()).ok();
    value
        .and_then(|value| serde_json::to_value(value).ok())
        .unwrap_or(Value::Null)
}
