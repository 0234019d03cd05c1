//! The one place of this program that asks for randomness.

use crate::error::Error;

/// Fresh bytes of the operating system's generator.
///
/// # Errors
/// When the operating system has none to give.
pub(crate) fn entropy<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|cause| Error::new("the operating system gave no random bytes", cause))?;
    Ok(bytes)
}
