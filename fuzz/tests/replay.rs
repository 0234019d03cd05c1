//! The committed corpus, and what lies next to it, through every target on the stable compiler.

use std::fs;
use std::path::{Path, PathBuf};

use fuzz::TARGETS;

/// Inputs longer than this are replayed whole but not cut and altered at every place.
const ALTERED_UP_TO: usize = 2048;

/// Targets that do much at each run, which takes up to a tenth of a second without optimization.
const SLOW: &[&str] = &[
    "coap_dtls",
    "coap_tcp_frames",
    "dtls_handshake",
    "dtls_keyed",
    "dtls_record",
    "managed_connector",
    "model_endpoints",
    "oauth_stored",
    "oauth_token_response",
    "provisioning_certificate",
    "provisioning_management",
    "provisioning_registration",
    "server_machine",
];

/// Every how many bytes the seeds of a target are cut and altered.
fn step(name: &str) -> usize {
    let all = std::env::var_os("LONG").is_some();
    if SLOW.contains(&name) && !all { 32 } else { 1 }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn every_target_has_its_file_its_entry_and_seeds() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    for (name, _) in TARGETS {
        let file = root().join(format!("fuzz_targets/{name}.rs"));
        assert!(file.is_file(), "{} is missing", file.display());
        assert!(
            manifest.contains(&format!("name = \"{name}\"")),
            "no [[bin]] {name}"
        );
        assert!(
            !files(&root().join("corpus").join(name)).is_empty(),
            "no seed for {name}"
        );
    }
    assert_eq!(files(&root().join("fuzz_targets")).len(), TARGETS.len());
    assert_eq!(files(&root().join("corpus")).len(), TARGETS.len());
}

#[test]
fn every_target_stands_the_corpus_of_every_other() {
    for folder in files(&root().join("corpus")) {
        for file in files(&folder) {
            let bytes = fs::read(&file).unwrap();
            let own = folder.file_name().and_then(|name| name.to_str());
            for (name, target) in TARGETS {
                if own == Some(*name) || !SLOW.contains(name) {
                    target(&bytes);
                }
            }
        }
    }
}

#[test]
fn every_target_stands_its_seeds_cut_short_and_altered() {
    for (name, target) in TARGETS {
        for file in files(&root().join("corpus").join(name)) {
            let seed = fs::read(&file).unwrap();
            if seed.len() > ALTERED_UP_TO {
                continue;
            }
            for at in (0..seed.len()).step_by(step(name)) {
                target(&seed[..at]);
                for change in [0x01, 0x20, 0x80, 0xff] {
                    let mut altered = seed.clone();
                    altered[at] ^= change;
                    target(&altered);
                }
            }
        }
    }
}
