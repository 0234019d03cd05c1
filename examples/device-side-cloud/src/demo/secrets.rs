//! The secrets of the story, which must stand nowhere in what the clouds wrote.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// Shorter ones would be found by chance.
const SHORTEST: usize = 16;

/// What one side alone was told, and the story overheard.
#[derive(Default)]
pub(crate) struct Secrets(Vec<(&'static str, String)>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(..)")
    }
}

impl Secrets {
    /// Adds a secret; `what` says what it is.
    pub(crate) fn add(&mut self, what: &'static str, secret: &str) {
        self.0.push((what, secret.to_owned()));
    }

    /// How many there are.
    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    /// Searches a file, or every file of a folder, for every secret; how many bytes were searched.
    ///
    /// # Errors
    /// A secret was found or is too short to be searched for, the witness was not found, or something cannot be read.
    pub(crate) fn search(&self, place: &Path, witness: Option<&str>) -> Result<usize, Error> {
        let files = files(place)?;
        // What is no secret is found, so that the search can be believed.
        if let Some(witness) = witness
            && !files.iter().any(|(_, bytes)| holds(bytes, witness))
        {
            return Err(Error::plain(format!(
                "{} does not even hold {witness}",
                place.display()
            )));
        }
        let mut searched = 0_usize;
        for (path, bytes) in files {
            self.search_file(&path, &bytes)?;
            searched = searched.saturating_add(bytes.len());
        }
        Ok(searched)
    }

    fn search_file(&self, path: &Path, bytes: &[u8]) -> Result<(), Error> {
        for (what, secret) in &self.0 {
            if secret.len() < SHORTEST {
                return Err(Error::plain(format!(
                    "{what} is too short to be searched for"
                )));
            }
            if holds(bytes, secret) {
                return Err(Error::plain(format!("{what} stands in {}", path.display())));
            }
        }
        Ok(())
    }
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len().max(1))
        .any(|part| part == text.as_bytes())
}

/// A file, or every file of a folder, with its bytes. Sockets and the like have none.
fn files(path: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>, Error> {
    let failed = |cause| Error::new(format!("cannot read {}", path.display()), cause);
    let kind = std::fs::metadata(path).map_err(failed)?.file_type();
    if kind.is_file() {
        return Ok(vec![(
            path.to_path_buf(),
            std::fs::read(path).map_err(failed)?,
        )]);
    }
    let mut all = Vec::new();
    if kind.is_dir() {
        for entry in std::fs::read_dir(path).map_err(failed)? {
            all.extend(files(&entry.map_err(failed)?.path())?);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_wherever_it_stands_and_a_search_of_the_wrong_place_is_refused() {
        let folder = std::env::temp_dir().join(format!("secrets-{}", std::process::id()));
        let inner = folder.join("inner");
        std::fs::create_dir_all(&inner).expect("folder");
        std::fs::write(inner.join("a"), b"\0the witness\xff").expect("file");
        let mut secrets = Secrets::default();
        secrets.add("the key", "0123456789abcdef");
        let search = |secrets: &Secrets, witness| secrets.search(&folder, Some(witness));
        assert_eq!(search(&secrets, "the witness").expect("clean"), 13);
        assert!(search(&secrets, "somebody else").is_err());
        std::fs::write(inner.join("b"), b"\0\x010123456789abcdef\xff").expect("file");
        let found = search(&secrets, "the witness").expect_err("found");
        assert!(found.chain().starts_with("the key stands in "), "{found:?}");
        secrets = Secrets::default();
        secrets.add("a pin", "1234");
        assert!(search(&secrets, "the witness").is_err());
        std::fs::remove_dir_all(folder).expect("removed");
    }
}
