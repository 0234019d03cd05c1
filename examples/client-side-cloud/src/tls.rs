//! Certificates: this program's own, and those it believes.

use std::path::Path;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::Failure;

/// What the HTTPS listener shows.
pub(crate) fn server(certificate: &Path, private_key: &Path) -> Result<ServerConfig, Failure> {
    let chain = certificates(certificate)?;
    let key = PrivateKeyDer::from_pem_file(private_key).map_err(|error| {
        Failure::of(
            format!("no private key in {}", private_key.display()),
            error,
        )
    })?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::of("TLS cannot be set up", error))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| Failure::of("the certificate and its key do not fit", error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Whom requests to the device-side cloud believe.
pub(crate) fn client(ca: &Path) -> Result<ClientConfig, Failure> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(ca)? {
        roots
            .add(authority)
            .map_err(|error| Failure::of(format!("{} holds no authority", ca.display()), error))?;
    }
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::of("TLS cannot be set up", error))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let wrong = |error| Failure::of(format!("no certificates in {}", path.display()), error);
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(wrong)?
        .collect::<Result<_, _>>()
        .map_err(wrong)?;
    if found.is_empty() {
        return Err(Failure::new(format!(
            "no certificates in {}",
            path.display()
        )));
    }
    Ok(found)
}
