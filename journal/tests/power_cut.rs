//! Power cuts: the store is on a file system of its own in an image file; the process is killed and the image copied at
//! once, so that the copy holds only what had reached the disk. Fails without root, loop devices and mkfs.ext4, so that it is
//! not among the tests that every run makes: `cargo test -p journal --test power_cut`.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::print_stderr
)]

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;

use journal::{Embedded, Journal as _};

#[path = "support/folder.rs"]
mod folder;
#[path = "support/process.rs"]
mod process;
#[path = "support/workload.rs"]
mod workload;
use folder::Folder;
use workload::Random;

const CUTS: u64 = 20;
const IMAGE_BYTES: u64 = 256 << 20;

/// The part of the child process.
#[test]
fn works_until_killed() {
    if !process::work_if_told_to() {
        assert_eq!(process::actors()[0].done(), 0);
    }
}

#[test]
fn what_was_acknowledged_survives_power_cuts() {
    let folder = with_an_empty_disk("power");
    let mut actors = process::actors();
    let mut random = Random(5);
    for cut in 0..CUTS {
        let disk = Mounted::new(&folder, cut);
        let path = disk.0.join("journal.redb");
        let enough = 1 + random.below(900);
        process::kill_after(enough, "works_until_killed", &path, &mut actors);
        fs::copy(image_of(&folder, cut), image_of(&folder, cut + 1)).unwrap();
        drop(disk);
        fs::remove_file(image_of(&folder, cut)).unwrap();
        let disk = Mounted::new(&folder, cut + 1);
        let journal = Embedded::open(disk.0.join("journal.redb")).unwrap();
        for actor in &mut actors {
            actor.recover(&journal, &format!("cut {cut} after {enough}"));
        }
    }
}

/// The disk does forget what was not synced: otherwise the cuts would prove nothing.
#[test]
fn what_was_not_synced_is_lost_in_a_cut() {
    let folder = with_an_empty_disk("forgetful");
    let disk = Mounted::new(&folder, 0);
    drop(Embedded::open(disk.0.join("journal.redb")).unwrap());
    fs::write(disk.0.join("unsynced"), b"written, not synced").unwrap();
    fs::copy(image_of(&folder, 0), image_of(&folder, 1)).unwrap();
    drop(disk);
    let disk = Mounted::new(&folder, 1);
    let journal = Embedded::open(disk.0.join("journal.redb")).unwrap();
    assert_eq!(journal.list("", None, 9).unwrap(), Vec::<String>::new());
    let left = fs::read(disk.0.join("unsynced")).unwrap_or_default();
    assert_eq!(left, b"", "the file system kept it after all");
}

/// A folder that holds the image of an empty file system.
fn with_an_empty_disk(name: &str) -> Folder {
    let folder = Folder::new(name);
    let image = image_of(&folder, 0);
    let made = File::create(&image).and_then(|file| file.set_len(IMAGE_BYTES));
    made.unwrap();
    ran("mkfs.ext4", &["-q", "-F", image.to_str().unwrap()]).unwrap();
    folder
}

fn image_of(folder: &Folder, cut: u64) -> PathBuf {
    folder.path().join(format!("disk.{cut}"))
}

/// An image that is mounted until this is dropped.
struct Mounted(PathBuf);

impl Mounted {
    fn new(folder: &Folder, cut: u64) -> Self {
        let (image, place) = (image_of(folder, cut), folder.path().join("mounted"));
        fs::create_dir_all(&place).unwrap();
        // The file system's own commits are kept out of the way: only what is synced is to reach the disk.
        let (image, mounted) = (image.to_str().unwrap(), place.to_str().unwrap());
        ran("mount", &["-o", "loop,commit=300", image, mounted]).unwrap();
        Self(place)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Err(why) = ran("umount", &[self.0.to_str().unwrap()]) {
            eprintln!("{} stays mounted: {why}", self.0.display());
        }
    }
}

fn ran(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Err(format!("{program}: {error}")),
    }
}
