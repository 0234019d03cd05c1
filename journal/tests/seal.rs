//! Sealing: what opens, what does not, and what is on disk.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::fs;
use std::path::{Path, PathBuf};

use journal::ErrorKind;
use journal::seal::{Keyring, MasterKey};
use proptest::prelude::*;

#[path = "support/folder.rs"]
mod folder;
use folder::Folder;

fn keyring(folder: &Path, master: u8) -> Keyring {
    Keyring::load(MasterKey::new([master; 32]), folder.join("keys")).unwrap()
}

/// The files of keys, destroyed ones included.
fn files_of(folder: &Folder) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.path().join("keys")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| !path.ends_with("lock") && !path.ends_with("check"))
        .collect()
}

#[test]
fn a_folder_has_one_keyring_at_a_time() {
    let folder = Folder::new("one");
    let first = keyring(folder.path(), 1);
    let second = Keyring::load(MasterKey::new([1; 32]), folder.path().join("keys"));
    assert_eq!(second.unwrap_err().kind(), ErrorKind::Locked);
    drop(first);
    keyring(folder.path(), 1);
}

fn refused(keyring: &Keyring, stream: &str, field: &str, sealed: &[u8]) -> ErrorKind {
    keyring.open(stream, field, sealed).unwrap_err().kind()
}

/// With another key no name would be found, and so nothing be known as destroyed.
#[test]
fn a_folder_knows_its_master_key() {
    let folder = Folder::new("other-master");
    let path = folder.path().join("keys");
    // A wrong key that was tried before there is anything leaves no trace.
    drop(keyring(folder.path(), 2));
    let keys = keyring(folder.path(), 1);
    let sealed = keys.seal("a", "f", [1; 32], b"secret").unwrap();
    drop(keys);
    let error = Keyring::load(MasterKey::new([2; 32]), &path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::KeyFile);
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.ends_with("belong to another master key"), "{cause}");
    let check = fs::read_to_string(path.join("check")).unwrap();
    assert_eq!(check.len(), 64);
    assert_ne!(check, "01".repeat(32), "not the key itself");

    fs::remove_file(path.join("check")).unwrap();
    let error = Keyring::load(MasterKey::new([1; 32]), &path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damaged);
    fs::write(path.join("check"), check).unwrap();
    let opened = keyring(folder.path(), 1).open("a", "f", &sealed).unwrap();
    assert_eq!(opened.expose(), b"secret");
}

/// A folder that only remembers destroyed keys belongs to a master key, too.
#[test]
fn a_folder_with_nothing_but_destroyed_keys_knows_its_master_key() {
    let folder = Folder::new("all-destroyed");
    keyring(folder.path(), 1).destroy("a").unwrap();
    let path = folder.path().join("keys");
    let error = Keyring::load(MasterKey::new([2; 32]), path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::KeyFile);
    assert!(keyring(folder.path(), 1).is_destroyed("a").unwrap());
}

#[test]
fn only_the_same_stream_and_field_open() {
    let folder = Folder::new("misuse");
    let keys = keyring(folder.path(), 1);
    let sealed = keys.seal("a", "token", [7; 32], b"secret").unwrap();
    keys.seal("b", "token", [8; 32], b"other").unwrap();
    assert_eq!(
        keys.open("a", "token", &sealed).unwrap().expose(),
        b"secret"
    );
    assert_eq!(
        refused(&keys, "a", "tokens", &sealed),
        ErrorKind::Unopenable
    );
    assert_eq!(refused(&keys, "b", "token", &sealed), ErrorKind::Unopenable);
    assert_eq!(refused(&keys, "c", "token", &sealed), ErrorKind::NoKey);
    for length in 0..sealed.len() {
        let cut = sealed.get(..length).unwrap();
        assert_eq!(refused(&keys, "a", "token", cut), ErrorKind::Unopenable);
    }
    drop(keys);
    let reopened = keyring(folder.path(), 1);
    let opened = reopened.open("a", "token", &sealed).unwrap();
    assert_eq!(opened.expose(), b"secret");
    assert_eq!(
        format!("{opened:?} {reopened:?}"),
        "Unsealed(..) Keyring(..)"
    );
}

#[test]
fn a_wrapped_key_of_another_master_key_is_refused() {
    let (folder, other) = (Folder::new("mine"), Folder::new("theirs"));
    keyring(folder.path(), 1)
        .seal("a", "f", [1; 32], b"secret")
        .unwrap();
    let theirs = keyring(other.path(), 2);
    theirs.seal("a", "f", [1; 32], b"secret").unwrap();
    fs::copy(&files_of(&other)[0], &files_of(&folder)[0]).unwrap();
    let sealed = keyring(folder.path(), 1).seal("a", "f", [2; 32], b"secret");
    assert_eq!(sealed.unwrap_err().kind(), ErrorKind::Unopenable);
}

#[test]
fn a_destroyed_key_makes_everything_unreadable_and_its_stream_may_begin_anew() {
    let folder = Folder::new("destroyed");
    let keys = keyring(folder.path(), 1);
    let entropy = [3; 32];
    let sealed = keys.seal("a", "f", entropy, b"secret").unwrap();
    let kept = keys.seal("b", "f", entropy, b"kept").unwrap();
    keys.destroy("a").unwrap();
    keys.destroy("a").unwrap();
    assert_eq!(refused(&keys, "a", "f", &sealed), ErrorKind::NoKey);
    assert_eq!(keys.open("b", "f", &kept).unwrap().expose(), b"kept");
    keys.seal("a", "f", [4; 32], b"new").unwrap();
    assert_eq!(refused(&keys, "a", "f", &sealed), ErrorKind::Unopenable);
    assert_eq!(files_of(&folder).len(), 2);
}

#[test]
fn a_destruction_that_was_cut_short_is_finished() {
    let folder = Folder::new("cut");
    let sealed = keyring(folder.path(), 1)
        .seal("a", "f", [3; 32], b"secret")
        .unwrap();
    let file = &files_of(&folder)[0];
    fs::write(file, [0; 73]).unwrap();
    let keys = keyring(folder.path(), 1);
    assert_eq!(refused(&keys, "a", "f", &sealed), ErrorKind::NoKey);
    assert_eq!(fs::read(file).unwrap(), b"");
    keys.seal("a", "f", [4; 32], b"new").unwrap();
}

#[test]
fn the_folder_holds_neither_keys_nor_names_in_the_clear() {
    let folder = Folder::new("clear");
    let keys = keyring(folder.path(), 1);
    keys.seal("account/alice", "f", [3; 32], b"secret").unwrap();
    assert_eq!(files_of(&folder).len(), 1);
    for file in files_of(&folder) {
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(!name.contains("alice") && name.len() == 64, "{name}");
        let content = fs::read(&file).unwrap();
        assert!(!content.windows(5).any(|window| window == b"alice"));
        assert_eq!(content.len(), 1 + 24 + 32 + 16);
    }
}

#[test]
fn the_master_key_file_is_made_once_and_only_its_owners() {
    let folder = Folder::new("master");
    let path = folder.path().join("master.key");
    let sealed = {
        let master = MasterKey::load_or_create(&path, [5; 32]).unwrap();
        assert_eq!(format!("{master:?}"), "MasterKey(..)");
        let keys = Keyring::load(master, folder.path().join("keys")).unwrap();
        keys.seal("a", "f", [1; 32], b"secret").unwrap()
    };
    let master = MasterKey::load_or_create(&path, [6; 32]).unwrap();
    let keys = Keyring::load(master, folder.path().join("keys")).unwrap();
    assert_eq!(keys.open("a", "f", &sealed).unwrap().expose(), b"secret");
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.len(), 64);
    fs::write(&path, text.to_uppercase() + "\n").unwrap();
    MasterKey::load(&path).unwrap();
    for broken in ["", "zz", &"0".repeat(63), &"0".repeat(66), &"g".repeat(64)] {
        fs::write(&path, broken).unwrap();
        let kind = MasterKey::load_or_create(&path, [5; 32])
            .unwrap_err()
            .kind();
        assert_eq!(kind, ErrorKind::KeyFile, "{broken:?}");
    }
}

/// A process that was killed while it made the key, and another of the same number.
#[test]
fn a_draft_that_a_killed_process_left_is_no_master_key() {
    let folder = Folder::new("draft");
    let path = folder.path().join("master.key");
    let draft = format!("master.key.new-{}", std::process::id());
    let kept = folder.path().join("kept");
    fs::write(folder.path().join(&draft), "half a k").unwrap();
    fs::hard_link(folder.path().join(&draft), &kept).unwrap();
    MasterKey::load_or_create(&path, [5; 32]).unwrap();
    MasterKey::load(&path).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap().len(), 64);
    assert_eq!(fs::read(&kept).unwrap(), b"half a k", "not written into");
    assert!(!folder.path().join(draft).exists());
}

#[test]
#[cfg(unix)]
fn a_master_key_that_others_may_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new("open");
    let path = folder.path().join("master.key");
    MasterKey::load_or_create(&path, [5; 32]).unwrap();
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(
        MasterKey::load(&path).unwrap_err().kind(),
        ErrorKind::KeyFile
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn what_is_sealed_opens_and_what_is_changed_does_not(
        secret in prop::collection::vec(any::<u8>(), 0..200),
        stream in ".{1,20}",
        field in ".{0,20}",
        entropy in any::<[u8; 32]>(),
        place in any::<prop::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let folder = Folder::new("property");
        let keys = keyring(folder.path(), 1);
        let sealed = keys.seal(&stream, &field, entropy, &secret).unwrap();
        let opened = keys.open(&stream, &field, &sealed).unwrap();
        prop_assert_eq!(opened.expose(), &secret[..]);
        let mut changed = sealed.clone();
        changed[place.index(sealed.len())] ^= 1 << bit;
        prop_assert_eq!(refused(&keys, &stream, &field, &changed), ErrorKind::Unopenable);
        let moved = keys.open(&format!("{stream}{field}"), "", &sealed);
        prop_assert!(moved.is_err() || field.is_empty());
    }
}
