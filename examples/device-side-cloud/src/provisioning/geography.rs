//! Where networks are, for policies that choose the nearest access point: a file of the operator's that may change while the cloud
//! runs.
//!
//! A line of it is a network, a latitude and a longitude in degrees, with commas between them: `192.0.2.0/24,52.52,13.405`. Empty
//! lines and those that begin with `#` say nothing. A file that cannot be used changes nothing but the log.

use std::path::{Path, PathBuf};
use std::time::Duration;

use provisioning_proto::allocation::{Coordinates, GeoTable, Prefix};
use sha2::{Digest as _, Sha256};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::MissedTickBehavior;
use tracing::{error, info};

use super::Provisioning;
use crate::error::Error;

/// How often the file is looked at.
const EVERY: Duration = Duration::from_secs(10);
/// The largest file that is read, in bytes: the table takes 100,000 networks.
const MAX_FILE: u64 = 16 << 20;
/// How many millionths a degree has.
const MILLION: f64 = 1_000_000.0;

/// The file, and what it held when it was read last.
#[derive(Debug)]
pub(super) struct Geography {
    path: PathBuf,
    digest: Option<[u8; 32]>,
}

impl Geography {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, digest: None }
    }

    /// Reads the file if it is another than before, or in any case when told to.
    ///
    /// # Errors
    /// It cannot be read, is too long, or a line of it says nothing that can be used.
    pub(super) fn look(&mut self, told: bool) -> Result<Option<GeoTable>, Error> {
        let failed = |cause| Error::new(format!("cannot read {}", self.path.display()), cause);
        let length = std::fs::metadata(&self.path).map_err(failed)?.len();
        if length > MAX_FILE {
            return Err(Error::plain(format!("{} is too long", self.path.display())));
        }
        let text = std::fs::read_to_string(&self.path).map_err(failed)?;
        let digest = Sha256::digest(&text).into();
        if self.digest == Some(digest) && !told {
            return Ok(None);
        }
        self.digest = Some(digest);
        table(&text, &self.path).map(Some)
    }
}

impl Provisioning {
    /// Looks at the file for as long as the program runs.
    pub(super) async fn follow(self, mut geography: Geography) -> Result<(), Error> {
        let mut hangups = signal(SignalKind::hangup())
            .map_err(|cause| Error::new("cannot listen for SIGHUP", cause))?;
        let mut looks = tokio::time::interval(EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // One that stays unreadable is told once.
        let mut failing = false;
        loop {
            let told = tokio::select! {
                _ = hangups.recv() => true,
                _ = looks.tick() => false,
            };
            let looked = tokio::task::spawn_blocking(move || {
                let looked = geography.look(told);
                (geography, looked)
            });
            let (back, looked) = looked
                .await
                .map_err(|cause| Error::new("looking at the networks broke", cause))?;
            geography = back;
            match looked {
                Ok(table) => {
                    failing = false;
                    if let Some(table) = table {
                        self.with(|state| state.machine.set_geography(table));
                        info!("the places of networks were read again");
                    }
                }
                Err(cause) if !failing => {
                    failing = true;
                    error!(error = cause.chain(), "the former places of networks stay");
                }
                Err(_) => {}
            }
        }
    }
}

fn table(text: &str, path: &Path) -> Result<GeoTable, Error> {
    let mut table = GeoTable::default();
    for (line, number) in text.lines().zip(1_u32..) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = || {
            Error::plain(format!(
                "{}, line {number}: no network and place",
                path.display()
            ))
        };
        let (network, place) = entry(line).ok_or_else(wrong)?;
        table
            .insert(network, place)
            .map_err(|kind| Error::new(format!("{}, line {number}", path.display()), kind))?;
    }
    Ok(table)
}

fn entry(line: &str) -> Option<(Prefix, Coordinates)> {
    let mut parts = line.split(',').map(str::trim);
    let (network, latitude, longitude) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let place = Coordinates::new(degrees(latitude)?, degrees(longitude)?).ok()?;
    Some((network.parse().ok()?, place))
}

/// Degrees as millionths.
fn degrees(text: &str) -> Option<i32> {
    let degrees: f64 = text.parse().ok()?;
    let millionths = (degrees * MILLION).round();
    let fits = (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&millionths);
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and fits")]
    fits.then_some(millionths as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_where_networks_are_and_is_read_again_when_it_changes() {
        let folder = std::env::temp_dir().join(format!("geography-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("folder");
        let path = folder.join("networks.csv");
        let mut geography = Geography::new(path.clone());
        assert!(geography.look(false).is_err(), "there is no file yet");
        std::fs::write(
            &path,
            "# offices\n\n192.0.2.0/24, 52.52, 13.405\n2001:db8::/32,-33.9,151.2\n",
        )
        .expect("file");
        let table = geography.look(false).expect("read").expect("new");
        let berlin = Coordinates::new(52_520_000, 13_405_000).expect("place");
        let sydney = Coordinates::new(-33_900_000, 151_200_000).expect("place");
        let locate = |text: &str| table.locate(text.parse().expect("address"));
        assert_eq!(locate("192.0.2.7"), Some(berlin));
        assert_eq!(locate("2001:db8::1"), Some(sydney));
        assert_eq!(locate("198.51.100.1"), None);
        assert!(
            geography.look(false).expect("read").is_none(),
            "nothing changed"
        );
        assert!(geography.look(true).expect("read").is_some());
        for wrong in [
            "192.0.2.0,52.5,13.4",
            "192.0.2.0/24,52.5",
            "192.0.2.0/24,91,13.4",
            "192.0.2.0/24,NaN,13.4",
            "192.0.2.0/24,52.5,13.4,9",
        ] {
            std::fs::write(&path, wrong).expect("file");
            let refused = geography.look(false).expect_err("refused").chain();
            assert!(refused.contains("line 1"), "{refused}");
        }
        std::fs::remove_dir_all(&folder).expect("folder");
    }
}
