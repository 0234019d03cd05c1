use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

use crate::embedded::schema::{self, Check};
use crate::embedded::tests::power::Random;
use crate::{Embedded, Error};

/// What a disk writes whole or, when the power fails, in part.
const SECTOR: usize = 512;

/// A disk in memory that runs full or loses its power when it is told to, and may forget what was not synced.
#[derive(Clone, Debug, Default)]
pub(super) struct SharedDisk(Arc<Mutex<Disk>>);

#[derive(Debug, Default)]
struct Disk {
    /// What is read: everything that was written.
    bytes: Vec<u8>,
    /// What was there at the last sync.
    synced: Vec<u8>,
    /// Sector to each content that was written there since, any of which may have reached the medium.
    unsynced: BTreeMap<usize, Vec<[u8; SECTOR]>>,
    /// How many more writes find room; `None` for no end.
    writes_left: Option<u32>,
    /// How many more operations are done before the power fails; `None` for no end.
    power_left: Option<u64>,
    /// Whether syncing does nothing but say that it did, as a control of the test.
    lies: bool,
}

impl SharedDisk {
    pub(super) fn new_journal() -> (Self, Embedded) {
        let disk = Self::default();
        schema::lay_out(&schema::create_in(disk.clone()).unwrap()).unwrap();
        let journal = disk.open().unwrap();
        (disk, journal)
    }

    pub(super) fn open(&self) -> Result<Embedded, Error> {
        let disk = self.clone();
        Embedded::open_with(Box::new(move || {
            schema::open_in(disk.clone(), Check::WhatIsRead)
        }))
    }

    pub(super) fn let_writes(&self, writes_left: Option<u32>) {
        self.disk().writes_left = writes_left;
    }

    pub(super) fn let_operations(&self, power_left: u64) {
        self.disk().power_left = Some(power_left);
    }

    pub(super) fn lie_about_syncs(&self) {
        self.disk().lies = true;
    }

    pub(super) fn has_power(&self) -> bool {
        self.disk().power_left != Some(0)
    }

    /// Turns the power on again: of each sector that was not synced the old content, one of the newer ones or a mixture
    /// of two is left, and the length is the old or the new one.
    pub(super) fn restart(&self, random: &mut Random) {
        let mut disk = self.disk();
        let mut left = std::mem::take(&mut disk.synced);
        if random.below(2) == 0 {
            left.resize(disk.bytes.len(), 0);
        }
        for (sector, contents) in std::mem::take(&mut disk.unsynced) {
            let start = sector * SECTOR;
            let Some(rest) = left.get_mut(start..) else {
                continue;
            };
            let place = rest.len().min(SECTOR);
            let mut pick = || {
                let choice = usize::try_from(random.below(contents.len() as u64 + 1)).unwrap();
                choice.checked_sub(1).map(|choice| contents[choice])
            };
            let (head, tail) = (pick(), pick());
            let torn = usize::try_from(random.below(2 * SECTOR as u64)).unwrap();
            let middle = torn.min(place);
            if let Some(head) = head {
                rest[..middle].copy_from_slice(&head[..middle]);
            }
            if let Some(tail) = tail {
                rest[middle..place].copy_from_slice(&tail[middle..place]);
            }
        }
        disk.synced.clone_from(&left);
        disk.bytes = left;
        disk.power_left = None;
    }

    /// Changes one bit behind the store's back.
    pub(super) fn flip(&self, place: usize, bit: u32) {
        self.disk().bytes[place] ^= 1 << bit;
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.disk().bytes.clone()
    }

    /// A number that stands for the whole content.
    pub(super) fn digest(&self) -> u64 {
        let mix = |digest: u64, word: &[u8; 8]| {
            (digest ^ u64::from_le_bytes(*word)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        };
        self.disk().bytes.as_chunks().0.iter().fold(1, mix)
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does one operation, if there is power for it.
    fn powered(&self) -> io::Result<MutexGuard<'_, Disk>> {
        let mut disk = self.disk();
        match &mut disk.power_left {
            Some(0) => return Err(io::Error::other("no power")),
            Some(left) => *left -= 1,
            None => {}
        }
        Ok(disk)
    }

    fn writing(&self, work: impl FnOnce(&mut Disk)) -> io::Result<()> {
        let mut disk = self.powered()?;
        match &mut disk.writes_left {
            Some(0) => return Err(io::ErrorKind::StorageFull.into()),
            Some(left) => *left -= 1,
            None => {}
        }
        work(&mut disk);
        Ok(())
    }
}

impl StorageBackend for SharedDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap();
        let disk = self.disk();
        if disk.power_left == Some(0) {
            return Err(io::Error::other("no power"));
        }
        let found = disk.bytes.get(start..start + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.writing(|disk| disk.bytes.resize(usize::try_from(len).unwrap(), 0))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut disk = self.powered()?;
        if !disk.lies {
            let Disk {
                bytes,
                synced,
                unsynced,
                ..
            } = &mut *disk;
            synced.resize(bytes.len(), 0);
            for sector in std::mem::take(unsynced).into_keys() {
                let end = bytes.len().min((sector + 1) * SECTOR);
                if let Some(place) = synced.get_mut(sector * SECTOR..end) {
                    place.copy_from_slice(&bytes[sector * SECTOR..end]);
                }
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap();
        self.writing(|disk| {
            let end = start + data.len();
            disk.bytes[start..end].copy_from_slice(data);
            for sector in start / SECTOR..end.div_ceil(SECTOR) {
                let place = sector * SECTOR..disk.bytes.len().min((sector + 1) * SECTOR);
                let mut content = [0; SECTOR];
                content[..place.len()].copy_from_slice(&disk.bytes[place]);
                disk.unsynced.entry(sector).or_default().push(content);
            }
        })
    }
}
