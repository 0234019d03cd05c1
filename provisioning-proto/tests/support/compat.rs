//! Bytes that released versions wrote, one line of hexadecimal digits a change and one for the snapshot. A file is written once,
//! with `WRITE_JOURNAL_COMPAT=1`, when a version is released, and never changed.

use std::mem::Discriminant;
use std::path::{Path, PathBuf};

/// What a ledger stored, and its snapshot.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Stored {
    pub(crate) changes: Vec<Vec<u8>>,
    pub(crate) snapshot: Vec<u8>,
}

impl Stored {
    /// What version 0.1.0 wrote; if told so by the environment, first writes that down.
    pub(crate) fn by_0_1_0(name: &str, lived: &Self) -> Self {
        #[allow(clippy::disallowed_methods)]
        let writes = std::env::var_os("WRITE_JOURNAL_COMPAT").is_some();
        let (changes, snapshot) = (file(name, "changes"), file(name, "snapshot"));
        if writes {
            std::fs::write(&changes, hex(&lived.changes)).unwrap();
            std::fs::write(&snapshot, hex(std::slice::from_ref(&lived.snapshot))).unwrap();
        }
        Self {
            changes: lines(&changes),
            snapshot: lines(&snapshot).remove(0),
        }
    }

    pub(crate) fn slices(&self) -> impl Iterator<Item = &[u8]> {
        self.changes.iter().map(Vec::as_slice)
    }
}

/// How many kinds of facts there are.
pub(crate) fn kinds<F>(facts: impl Iterator<Item = F>) -> usize {
    let mut seen: Vec<Discriminant<F>> = Vec::new();
    for fact in facts {
        let kind = std::mem::discriminant(&fact);
        if !seen.contains(&kind) {
            seen.push(kind);
        }
    }
    seen.len()
}

fn file(name: &str, part: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/journal_compat")
        .join(format!("0.1.0-{name}-{part}.hex"))
}

fn hex(rows: &[Vec<u8>]) -> String {
    let row = |bytes: &Vec<u8>| {
        let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
        digits.chain(["\n".to_owned()]).collect::<String>()
    };
    rows.iter().map(row).collect()
}

fn lines(path: &Path) -> Vec<Vec<u8>> {
    let text = std::fs::read_to_string(path).unwrap();
    let byte = |line: &str, place| u8::from_str_radix(&line[place..place + 2], 16).unwrap();
    let row = |line: &str| {
        (0..line.len())
            .step_by(2)
            .map(|at| byte(line, at))
            .collect()
    };
    text.lines().map(row).collect()
}
