//! Enrolling the devices of a CSV file, some hundred at a time.

use std::path::Path;
use std::time::{Duration, Instant};

use csv::StringRecord;
use example_support::progress::{ProgressLine, bar};
use serde_json::{Map, Value};

use crate::admin::{self, Order};
use crate::clock;
use crate::error::Error;
use crate::provisioning::{self, Enrolled};

/// How long the devices of one order may be, in bytes of JSON: a bar moves on, and another operator is let in between.
const MAX_ORDER: usize = 48 * 1024;
/// How many devices one order has at most.
const MAX_DEVICES: usize = 500;
/// The columns that say how a device proves itself, and those that say where it goes; all others are of the device.
const AUTH: [&str; 4] = ["auth_type", "secret", "fingerprint", "identity"];
const INFO: [&str; 3] = ["certificate_id", "allocation_strategy_type", "init_config"];
const DEVICE: [&str; 4] = ["device_id", "device_name", "access_point_id", "owner"];

/// Enrolls every device of a file; the lines that cannot be taken are named on standard error.
///
/// # Errors
/// The file cannot be read, the cloud does not answer, or a line was not taken. It can be repeated: what is there is left as it is.
pub(crate) async fn run(data_dir: &Path, tenant: &str, path: &Path) -> Result<(), Error> {
    let failed = |cause| Error::new(format!("cannot read {}", path.display()), cause);
    let all = std::fs::metadata(path)
        .map_err(|cause| Error::new(format!("cannot read {}", path.display()), cause))?
        .len();
    let mut reader = csv::Reader::from_path(path).map_err(failed)?;
    let header = reader.headers().map_err(failed)?.clone();
    check(&header)?;
    let mut import = Import {
        data_dir,
        tenant,
        batch: Vec::new(),
        length: 0,
        total: Totals::default(),
        progress: Progress::new(all),
    };
    let mut record = StringRecord::new();
    while reader.read_record(&mut record).map_err(failed)? {
        let position = record.position();
        let line = position.map_or(0, csv::Position::line);
        let read = position.map_or(0, csv::Position::byte);
        import.take(line, device(&header, &record), read).await?;
    }
    import.send(all).await?;
    import.progress.end(&import.total);
    let Totals {
        created,
        present,
        refused,
    } = import.total;
    super::say(&format!(
        "created: {created}\npresent: {present}\nrefused: {refused}"
    ));
    if refused == 0 {
        Ok(())
    } else {
        Err(Error::plain("some lines were not taken"))
    }
}

/// What came of the lines so far.
#[derive(Debug, Default)]
struct Totals {
    created: usize,
    present: usize,
    refused: usize,
}

struct Import<'a> {
    data_dir: &'a Path,
    tenant: &'a str,
    /// Devices with their lines.
    batch: Vec<(u64, Value)>,
    /// How long they are as JSON.
    length: usize,
    total: Totals,
    progress: Progress,
}

impl Import<'_> {
    async fn take(&mut self, line: u64, device: Value, read: u64) -> Result<(), Error> {
        let length = device.to_string().len().saturating_add(1);
        let full =
            self.length.saturating_add(length) > MAX_ORDER || self.batch.len() >= MAX_DEVICES;
        if full {
            self.send(read).await?;
        }
        if length > MAX_ORDER {
            self.refuse(line, "the line is too long");
            return Ok(());
        }
        self.length = self.length.saturating_add(length);
        self.batch.push((line, device));
        Ok(())
    }

    async fn send(&mut self, read: u64) -> Result<(), Error> {
        if !self.batch.is_empty() {
            let (lines, devices): (Vec<u64>, Vec<Value>) = self.batch.drain(..).unzip();
            self.length = 0;
            let tenant = self.tenant.to_owned();
            let order = provisioning::Order::Enroll { tenant, devices };
            let answer = admin::ask(self.data_dir, &Order::Provisioning(order)).await?;
            let enrolled: Enrolled = serde_json::from_value(answer)
                .map_err(|cause| Error::new("the cloud gave no proper answer", cause))?;
            self.total.created = self.total.created.saturating_add(enrolled.created);
            self.total.present = self.total.present.saturating_add(enrolled.present);
            for (place, why) in enrolled.refused {
                self.refuse(lines.get(place).copied().unwrap_or(0), &why);
            }
        }
        self.progress.show(read, &self.total);
        Ok(())
    }

    fn refuse(&mut self, line: u64, why: &str) {
        self.progress.line.say(&format!("line {line}: {why}"));
        self.total.refused = self.total.refused.saturating_add(1);
    }
}

/// Lets a header pass that names columns that are known, each once, `device_id` among them.
fn check(header: &StringRecord) -> Result<(), Error> {
    for (place, name) in header.iter().enumerate() {
        if ![&DEVICE[..], &AUTH, &INFO].concat().contains(&name) {
            return Err(Error::plain(format!("{name:?} is no column that is known")));
        }
        if header.iter().take(place).any(|before| before == name) {
            return Err(Error::plain(format!("two columns are {name:?}")));
        }
    }
    if header.iter().any(|name| name == "device_id") {
        Ok(())
    } else {
        Err(Error::plain("no column is device_id"))
    }
}

/// A line as the interface takes a device. A field without a text says nothing.
fn device(header: &StringRecord, record: &StringRecord) -> Value {
    let (mut device, mut auth, mut info) = (Map::new(), Map::new(), Map::new());
    for (name, value) in header
        .iter()
        .zip(record)
        .filter(|(_, value)| !value.is_empty())
    {
        let part = if AUTH.contains(&name) {
            &mut auth
        } else if INFO.contains(&name) {
            &mut info
        } else {
            &mut device
        };
        part.insert(name.to_owned(), value.into());
    }
    for (name, part) in [("auth_info", auth), ("provision_info", info)] {
        if !part.is_empty() {
            device.insert(name.to_owned(), part.into());
        }
    }
    device.into()
}

/// The line of progress, and what it is counted from.
#[derive(Debug)]
struct Progress {
    line: ProgressLine,
    all: u64,
    since: Instant,
}

impl Progress {
    fn new(all: u64) -> Self {
        Self {
            line: ProgressLine::to_stderr(),
            all,
            since: clock::now(),
        }
    }

    fn show(&mut self, read: u64, total: &Totals) {
        let passed = clock::now().saturating_duration_since(self.since);
        self.line.show(passed, &self.text(read, total, passed));
    }

    fn end(&self, total: &Totals) {
        let passed = clock::now().saturating_duration_since(self.since);
        self.line.end(&self.text(self.all, total, passed));
    }

    fn text(&self, read: u64, total: &Totals, passed: Duration) -> String {
        let done = total.created.saturating_add(total.present);
        let rate = done as f64 / passed.as_secs_f64().max(f64::MIN_POSITIVE);
        let (bar, refused) = (bar(read, self.all), total.refused);
        format!("[{bar}] {done} devices, {rate:.0}/s, {refused} refused")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_becomes_a_device_and_empty_fields_say_nothing() {
        let header = StringRecord::from(vec!["device_id", "secret", "owner", "init_config"]);
        check(&header).unwrap();
        let made = device(
            &header,
            &StringRecord::from(vec!["sn-1", "12345678", "", "{}"]),
        );
        let wanted = serde_json::json!({
            "device_id": "sn-1", "auth_info": {"secret": "12345678"}, "provision_info": {"init_config": "{}"},
        });
        assert_eq!(made, wanted);
    }

    #[test]
    fn a_header_names_known_columns_once_and_the_id_among_them() {
        for wrong in [
            &["secret"][..],
            &["device_id", "colour"],
            &["device_id", "secret", "secret"],
        ] {
            assert!(
                check(&StringRecord::from(wrong.to_vec())).is_err(),
                "{wrong:?}"
            );
        }
    }
}
