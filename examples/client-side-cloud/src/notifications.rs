//! The last notifications that were taken, in order, in a file of JSON lines that outlives the process.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use account_linking::UserId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uci_client::Notification;
use uci_model::{Content, Limits};

use crate::Failure;

/// How many notifications are listed.
const KEPT: usize = 10_000;

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
    path: PathBuf,
    file: File,
    /// How many lines the file has.
    lines: usize,
    entries: VecDeque<Entry>,
    /// How many entries are kept; the file is written anew before it has twice as many lines.
    kept: usize,
}

impl Notifications {
    /// Reads the list in `folder`, or begins one. A line that was cut off when the process was killed is left out.
    pub(crate) fn open(folder: &Path) -> Result<Self, Failure> {
        Self::keeping(KEPT, folder)
    }

    fn keeping(kept: usize, folder: &Path) -> Result<Self, Failure> {
        let path = folder.join("notifications.jsonl");
        List::open(path.clone(), kept)
            .map(|list| Self(Mutex::new(list)))
            .map_err(|error| Failure::of(format!("cannot open {}", path.display()), error))
    }

    /// Adds a notification of `user`.
    pub(crate) fn add(&self, user: &UserId, notification: &Notification) {
        let content = notification.content.as_ref();
        self.push(Entry {
            number: 0,
            user: user.clone(),
            id: notification.id.to_string(),
            subscription: notification.subscription.to_string(),
            sequence: notification.sequence,
            event_type: notification.event.event_type().as_str().to_owned(),
            timestamp: notification.timestamp.get(),
            gap: notification.gap,
            format: content.map(|content| content.format().as_str().to_owned()),
            body: content.map_or(Value::Null, to_json),
        });
    }

    fn push(&self, mut entry: Entry) {
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = list.entries.back().map_or(0, |last| last.number);
        entry.number = last.saturating_add(1);
        if let Err(error) = list.push(entry) {
            tracing::error!(%error, "a notification is not in the file");
        }
    }

    /// The notifications of `user` after number `after`, of those that are still listed.
    pub(crate) fn of(&self, user: &UserId, after: u64) -> Vec<Entry> {
        let list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        list.entries
            .iter()
            .filter(|entry| entry.user == *user && entry.number > after)
            .cloned()
            .collect()
    }
}

impl List {
    fn open(path: PathBuf, kept: usize) -> std::io::Result<Self> {
        let file = append_to(&path)?;
        let mut list = Self {
            path,
            file: file.try_clone()?,
            lines: 0,
            entries: VecDeque::new(),
            kept,
        };
        let mut whole = true;
        for line in BufReader::new(file).split(b'\n') {
            whole = serde_json::from_slice(&line?)
                .map(|entry| list.keep(entry))
                .is_ok();
        }
        if !whole || list.lines >= list.longest() {
            list.write_anew()?;
        }
        Ok(list)
    }

    fn push(&mut self, entry: Entry) -> std::io::Result<()> {
        let line = line(&entry)?;
        self.keep(entry);
        if self.lines >= self.longest() {
            self.write_anew()
        } else {
            self.file.write_all(&line)
        }
    }

    fn keep(&mut self, entry: Entry) {
        self.lines = self.lines.saturating_add(1);
        self.entries.push_back(entry);
        if self.entries.len() > self.kept {
            self.entries.pop_front();
        }
    }

    fn longest(&self) -> usize {
        self.kept.saturating_mul(2)
    }

    /// Puts a file in place of the present one that has nothing but what is kept.
    fn write_anew(&mut self) -> std::io::Result<()> {
        let next = self.path.with_extension("jsonl.new");
        let mut text = Vec::new();
        for entry in &self.entries {
            text.append(&mut line(entry)?);
        }
        let mut file = private()
            .create(true)
            .truncate(true)
            .write(true)
            .open(&next)?;
        file.write_all(&text)?;
        std::fs::rename(&next, &self.path)?;
        self.file = append_to(&self.path)?;
        self.lines = self.entries.len();
        Ok(())
    }
}

fn append_to(path: &Path) -> std::io::Result<File> {
    private().create(true).append(true).read(true).open(path)
}

/// Makes files that only their owner can read: they tell what goes on in people's homes.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

fn line(entry: &Entry) -> std::io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(entry)?;
    line.push(b'\n');
    Ok(line)
}

/// Content as JSON, whatever it came as; null when it cannot be read.
pub(crate) fn to_json(content: &Content) -> Value {
    let value = content.decode(&Limits::default()).ok();
    value
        .and_then(|value| serde_json::to_value(value).ok())
        .unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder =
            std::env::temp_dir().join(format!("client-side-cloud-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn entry() -> Entry {
        Entry {
            number: 0,
            user: "demo".parse().unwrap(),
            id: "1".to_owned(),
            subscription: "s".to_owned(),
            sequence: 0,
            event_type: "devices_online".to_owned(),
            timestamp: 0,
            gap: false,
            format: None,
            body: Value::Null,
        }
    }

    fn numbers(list: &Notifications, after: u64) -> Vec<u64> {
        let of = list.of(&"demo".parse().unwrap(), after);
        of.iter().map(|entry| entry.number).collect()
    }

    #[test]
    fn the_last_notifications_are_kept_under_their_numbers() {
        let folder = folder("kept");
        let list = Notifications::keeping(3, &folder).unwrap();
        for _ in 0..20 {
            list.push(entry());
            let path = folder.join("notifications.jsonl");
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
            let lines = fs::read_to_string(path).unwrap();
            assert!(lines.lines().count() < 6);
        }
        assert_eq!(numbers(&list, 0), [18, 19, 20]);
        assert_eq!(numbers(&list, 19), [20]);
        let list = Notifications::keeping(3, &folder).unwrap();
        assert_eq!(numbers(&list, 0), [18, 19, 20]);
        list.push(entry());
        assert_eq!(numbers(&list, 0), [19, 20, 21]);
    }

    #[test]
    fn a_line_that_was_cut_off_is_left_out() {
        let folder = folder("cut");
        Notifications::keeping(9, &folder).unwrap().push(entry());
        let path = folder.join("notifications.jsonl");
        let mut file = append_to(&path).unwrap();
        file.write_all(b"{\"number\":2,\"us").unwrap();
        let list = Notifications::keeping(9, &folder).unwrap();
        list.push(entry());
        assert_eq!(numbers(&list, 0), [1, 2]);
        let list = Notifications::keeping(9, &folder).unwrap();
        assert_eq!(numbers(&list, 0), [1, 2]);
    }
}
