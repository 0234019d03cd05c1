//! The target of `journal`: what is sealed.

use std::sync::LazyLock;

use journal::seal::{Keyring, MasterKey};

const STREAM: &str = "account/alice";
const FIELD: &str = "subscription/1";

/// A keyring, and a secret that it sealed.
static SEALED: LazyLock<(Keyring, Vec<u8>)> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("fuzz-keys-{}", std::process::id()));
    let keyring = Keyring::load(MasterKey::new([1; 32]), folder).expect("a folder of its own");
    let sealed = keyring.seal(STREAM, FIELD, [2; 32], b"the secret");
    (keyring, sealed.expect("sealed"))
});

/// Any bytes as a sealed secret, and as changes to a real one: only what was sealed opens.
pub fn sealed(bytes: &[u8]) {
    let (keyring, sealed) = &*SEALED;
    let opens = |sealed: &[u8]| keyring.open(STREAM, FIELD, sealed).is_ok();
    assert_eq!(opens(bytes), bytes == sealed);
    let mut changed = sealed.clone();
    for (byte, change) in changed.iter_mut().zip(bytes) {
        *byte ^= change;
    }
    assert_eq!(opens(&changed), changed == *sealed);
    let cut = sealed.get(..bytes.len()).unwrap_or(sealed);
    assert_eq!(opens(cut), cut == sealed);
}
