//! What the device remembers over a restart: its own secret, and where it was told that it belongs.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use coap_psk::{DeviceName, DeviceSecret, ProductSecret};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::error::Error;
use crate::fresh::Told;

/// The file in the state directory that holds the secret, readable by its owner alone.
const FILE: &str = "device.json";
/// The one with what a factory-fresh device was told.
const TOLD: &str = "told.json";

/// The state directory.
#[derive(Debug)]
pub(crate) struct State {
    dir: PathBuf,
}

#[derive(Deserialize, Serialize)]
struct Kept {
    product_key: String,
    device_key: String,
    device_secret: String,
}

impl State {
    /// Opens the directory, or makes it.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) fn open(dir: &Path) -> Result<Self, Error> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|cause| Error::new(format!("cannot make {}", dir.display()), cause))?;
        Ok(Self {
            dir: dir.to_owned(),
        })
    }

    /// The device's own secret, once it was kept.
    ///
    /// # Errors
    /// The file cannot be read, is damaged, or is another device's.
    pub(crate) fn load(&self, device: &DeviceName) -> Result<Option<DeviceSecret>, Error> {
        let path = self.dir.join(FILE);
        let Some(kept) = self.read::<Kept>(FILE)? else {
            return Ok(None);
        };
        if (kept.product_key.as_str(), kept.device_key.as_str())
            != (device.product_key().as_str(), device.device_key().as_str())
        {
            let owner = format!("{},{}", kept.product_key, kept.device_key);
            return Err(Error::plain(format!(
                "{} belongs to the device {owner}",
                path.display()
            )));
        }
        DeviceSecret::new(kept.device_secret)
            .map(Some)
            .map_err(|cause| Error::new(format!("{} is damaged", path.display()), cause))
    }

    /// Keeps the device's own secret: on disk before this returns, and never half.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn save(&self, device: &DeviceName, secret: &DeviceSecret) -> Result<(), Error> {
        self.write(
            FILE,
            &Kept {
                product_key: device.product_key().to_string(),
                device_key: device.device_key().to_string(),
                device_secret: secret.expose().to_owned(),
            },
        )
    }

    /// What the device was told, once it was.
    ///
    /// # Errors
    /// The file cannot be read or is damaged.
    pub(crate) fn load_told(&self) -> Result<Option<Told>, Error> {
        self.read(TOLD)
    }

    /// Keeps what the device was told, as its own secret is kept.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn save_told(&self, told: &Told) -> Result<(), Error> {
        self.write(TOLD, told)
    }

    fn read<T: DeserializeOwned>(&self, file: &str) -> Result<Option<T>, Error> {
        let path = self.dir.join(file);
        let text = match fs::read(&path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(Error::new(format!("cannot read {}", path.display()), cause)),
        };
        // The cause would quote the file, which holds a secret.
        serde_json::from_slice(&text)
            .map(Some)
            .map_err(|_| Error::plain(format!("{} is damaged", path.display())))
    }

    /// Writes a file for its owner alone: on disk before this returns, and never half.
    fn write(&self, file: &str, kept: &impl Serialize) -> Result<(), Error> {
        let path = self.dir.join(file);
        let failed = |cause| Error::new(format!("cannot write {}", path.display()), cause);
        let text = serde_json::to_vec(kept).map_err(|cause| failed(cause.into()))?;
        let text = Zeroizing::new(text);
        let draft = self.dir.join(format!("{file}.new"));
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&draft)
            .and_then(|mut file| file.write_all(&text).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&draft, &path))
            .and_then(|()| File::open(&self.dir)?.sync_all())
            .map_err(failed)
    }
}

/// Reads the product's secret from its file.
///
/// # Errors
/// The file cannot be read or holds no secret.
pub(crate) fn product_secret(path: &Path) -> Result<ProductSecret, Error> {
    let failed = |cause| Error::new(format!("cannot read {}", path.display()), cause);
    let text = fs::read_to_string(path).map_err(failed)?;
    ProductSecret::new(text.trim_end())
        .map_err(|cause| Error::new(format!("{} holds no secret", path.display()), cause))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn device(key: &str) -> DeviceName {
        DeviceName::new("pk".parse().expect("key"), key.parse().expect("key"))
    }

    #[test]
    fn a_secret_is_kept_for_its_device_and_its_owner_alone() {
        let dir = std::env::temp_dir().join(format!("device-state-{}", std::process::id()));
        let state = State::open(&dir).expect("state");
        assert!(state.load(&device("dev1")).expect("load").is_none());
        let secret = DeviceSecret::new("M3yy874uGY8INjEGddTR").expect("secret");
        state.save(&device("dev1"), &secret).expect("save");
        state.save(&device("dev1"), &secret).expect("save again");
        let kept = state.load(&device("dev1")).expect("load").expect("kept");
        assert_eq!(kept.expose(), secret.expose());
        let mode = fs::metadata(dir.join(FILE)).expect("file").permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        assert!(state.load(&device("dev2")).is_err());
        fs::write(dir.join(FILE), br#"{"device_secret":"M3yy874uGY8INjEGddTR"#).expect("write");
        let error = state.load(&device("dev1")).expect_err("damaged");
        assert!(!error.chain().contains("M3yy"), "{}", error.chain());
        fs::remove_dir_all(dir).expect("clean");
    }
}
