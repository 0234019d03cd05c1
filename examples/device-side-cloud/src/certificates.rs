//! The development CA, the certificate it makes for this cloud, and PEM files of the operator's own.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::RootCertStore;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::error::Error;

/// The files of the development CA inside the data directory.
#[derive(Clone, Debug)]
pub(crate) struct DevelopmentCa {
    dir: PathBuf,
}

impl DevelopmentCa {
    /// Opens the CA of a data directory and makes it when it is not there yet.
    ///
    /// # Errors
    /// The folder cannot be written, or the CA in it cannot be read.
    pub(crate) fn open(data_dir: &Path) -> Result<Self, Error> {
        let ca = Self {
            dir: data_dir.join("ca"),
        };
        if !ca.certificate().exists() {
            ca.create()?;
        }
        Ok(ca)
    }

    /// The CA's own certificate, PEM: what clients of this cloud must trust.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.dir.join("ca.pem")
    }

    fn key(&self) -> PathBuf {
        self.dir.join("ca.key.pem")
    }

    fn create(&self) -> Result<(), Error> {
        fs::create_dir_all(&self.dir)
            .map_err(|cause| Error::new(format!("cannot make {}", self.dir.display()), cause))?;
        let key = KeyPair::generate().map_err(|cause| Error::new("cannot make a CA key", cause))?;
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
            .distinguished_name
            .push(DnType::CommonName, "device-side-cloud development CA");
        let certificate = params
            .self_signed(&key)
            .map_err(|cause| Error::new("cannot make the CA certificate", cause))?;
        write_private(&self.key(), key.serialize_pem().as_bytes())?;
        write(&self.certificate(), certificate.pem().as_bytes())
    }

    /// Makes a server certificate for these names beside `name`.pem and `name`.key.pem, and gives back both paths.
    ///
    /// # Errors
    /// The CA cannot be read or the files cannot be written.
    pub(crate) fn issue(&self, name: &str, hosts: &[&str]) -> Result<(PathBuf, PathBuf), Error> {
        let certificate = self.dir.join(format!("{name}.pem"));
        let private = self.dir.join(format!("{name}.key.pem"));
        if certificate.exists() && private.exists() {
            return Ok((certificate, private));
        }
        let read = |path: PathBuf| {
            fs::read_to_string(&path)
                .map_err(|cause| Error::new(format!("cannot read {}", path.display()), cause))
        };
        let ca_key = KeyPair::from_pem(&read(self.key())?)
            .map_err(|cause| Error::new("the CA key is not usable", cause))?;
        let issuer = Issuer::from_ca_cert_pem(&read(self.certificate())?, ca_key)
            .map_err(|cause| Error::new("the CA certificate is not usable", cause))?;
        let key = KeyPair::generate().map_err(|cause| Error::new("cannot make a key", cause))?;
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts)
            .map_err(|cause| Error::new("a host name cannot stand in a certificate", cause))?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.distinguished_name.push(DnType::CommonName, name);
        let issued = params
            .signed_by(&key, &issuer)
            .map_err(|cause| Error::new("cannot sign a certificate", cause))?;
        write_private(&private, key.serialize_pem().as_bytes())?;
        write(&certificate, issued.pem().as_bytes())?;
        Ok((certificate, private))
    }
}

/// A rustls server configuration from PEM files.
///
/// # Errors
/// A file cannot be read or its contents do not fit together.
pub(crate) fn server_config(
    certificate: &Path,
    private_key: &Path,
) -> Result<Arc<rustls::ServerConfig>, Error> {
    let chain = read_certificates(certificate)?;
    let key = PrivateKeyDer::from_pem_file(private_key).map_err(|cause| {
        Error::new(
            format!("{} holds no usable private key", private_key.display()),
            cause,
        )
    })?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|cause| Error::new("TLS cannot be set up", cause))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|cause| {
            Error::new(
                format!("{} and its key do not fit", certificate.display()),
                cause,
            )
        })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// A rustls client configuration that trusts just these PEM files.
///
/// # Errors
/// A file cannot be read or holds no certificate.
pub(crate) fn client_config(roots: &[PathBuf]) -> Result<rustls::ClientConfig, Error> {
    let mut store = RootCertStore::empty();
    for path in roots {
        for certificate in read_certificates(path)? {
            store.add(certificate).map_err(|cause| {
                Error::new(format!("{} is no usable root", path.display()), cause)
            })?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|cause| Error::new("TLS cannot be set up", cause))?
        .with_root_certificates(store)
        .with_no_client_auth())
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let failed = |cause| Error::new(format!("cannot use {}", path.display()), cause);
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(failed)?
        .collect::<Result<_, _>>()
        .map_err(failed)?;
    if certificates.is_empty() {
        return Err(Error::plain(format!(
            "{} holds no certificate",
            path.display()
        )));
    }
    Ok(certificates)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    fs::write(path, bytes)
        .map_err(|cause| Error::new(format!("cannot write {}", path.display()), cause))
}

/// Writes a file that only its owner may read.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .map_err(|cause| Error::new(format!("cannot write {}", path.display()), cause))
}
