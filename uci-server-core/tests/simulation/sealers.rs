//! Sealers that hide what they seal and open it only in its place. They are not ciphers: nobody but a test reads the journals.

/// Hides `secret` under a pad that depends on the place and on `nonce`.
fn seal(stream: &str, field: &str, nonce: [u8; 32], secret: &[u8]) -> Vec<u8> {
    let mut sealed = nonce[..8].to_vec();
    sealed.extend(pad(stream, field, &nonce[..8], secret));
    sealed.push(check(stream, field, secret));
    sealed
}

fn open(stream: &str, field: &str, sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, rest) = sealed.split_at_checked(8)?;
    let (seen, hidden) = rest.split_last()?;
    let secret: Vec<u8> = pad(stream, field, nonce, hidden).collect();
    (check(stream, field, &secret) == *seen).then_some(secret)
}

fn pad<'a>(
    stream: &str,
    field: &str,
    nonce: &[u8],
    text: &'a [u8],
) -> impl Iterator<Item = u8> + use<'a> {
    let key = stream
        .bytes()
        .chain(field.bytes())
        .chain(nonce.iter().copied());
    let mut state = key.fold(0x9e37_79b9_u32, |state, byte| {
        (state ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    text.iter().map(move |byte| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        byte ^ (state >> 24) as u8
    })
}

fn check(stream: &str, field: &str, secret: &[u8]) -> u8 {
    let bytes = stream
        .bytes()
        .chain(field.bytes())
        .chain(secret.iter().copied());
    bytes.fold(7, |sum: u8, byte| sum.wrapping_mul(31).wrapping_add(byte))
}

pub struct ServerSealer;

impl uci_server_core::Sealer for ServerSealer {
    fn seal(
        &self,
        stream: &str,
        field: &str,
        nonce: [u8; 32],
        secret: &[u8],
    ) -> Result<Vec<u8>, uci_server_core::SealError> {
        Ok(seal(stream, field, nonce, secret))
    }

    fn open(
        &self,
        stream: &str,
        field: &str,
        sealed: &[u8],
    ) -> Result<uci_server_core::Opened, uci_server_core::SealError> {
        let secret = open(stream, field, sealed).ok_or_else(uci_server_core::SealError::new)?;
        Ok(uci_server_core::Opened::new(secret))
    }
}

pub struct ClientSealer;

impl uci_client::Sealer for ClientSealer {
    fn seal(
        &self,
        stream: &str,
        field: &str,
        nonce: [u8; 32],
        secret: &[u8],
    ) -> Result<Vec<u8>, uci_client::SealError> {
        Ok(seal(stream, field, nonce, secret))
    }

    fn open(
        &self,
        stream: &str,
        field: &str,
        sealed: &[u8],
    ) -> Result<uci_client::Opened, uci_client::SealError> {
        let secret = open(stream, field, sealed).ok_or_else(uci_client::SealError::new)?;
        Ok(uci_client::Opened::new(secret))
    }
}
