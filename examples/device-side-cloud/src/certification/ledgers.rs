//! The ledgers of certificates, as the store keeps them.

use bytes::Bytes;
use provisioning_proto::certificates::authorities::{self, CertificateAuthorities};
use provisioning_proto::certificates::issuance::{self, IssuedCertificates};

use crate::error::Error;
use crate::store::Ledger;

impl Ledger for CertificateAuthorities {
    type Change = authorities::Change;

    fn encode(change: &Self::Change) -> Result<Bytes, Error> {
        change.encode().map(Bytes::from).map_err(unwritten)
    }

    fn decode(bytes: &[u8]) -> Result<Self::Change, Error> {
        authorities::Change::decode(bytes).map_err(unread)
    }

    fn apply(&mut self, change: &Self::Change) {
        Self::apply(self, change);
    }

    fn snapshot(&self) -> Result<Option<(u32, Bytes)>, Error> {
        let bytes = Self::snapshot(self).map_err(unwritten)?;
        Ok(Some((authorities::SNAPSHOT_FORMAT, bytes.into())))
    }

    fn restore(format: u32, bytes: &[u8]) -> Result<Self, Error> {
        Self::restore(format, bytes).map_err(unread)
    }
}

impl Ledger for IssuedCertificates {
    type Change = issuance::Change;

    fn encode(change: &Self::Change) -> Result<Bytes, Error> {
        change.encode().map(Bytes::from).map_err(unwritten)
    }

    fn decode(bytes: &[u8]) -> Result<Self::Change, Error> {
        issuance::Change::decode(bytes).map_err(unread)
    }

    fn apply(&mut self, change: &Self::Change) {
        Self::apply(self, change);
    }

    fn snapshot(&self) -> Result<Option<(u32, Bytes)>, Error> {
        let bytes = Self::snapshot(self).map_err(unwritten)?;
        Ok(Some((issuance::SNAPSHOT_FORMAT, bytes.into())))
    }

    fn restore(format: u32, bytes: &[u8]) -> Result<Self, Error> {
        Self::restore(format, bytes).map_err(unread)
    }
}

fn unwritten(cause: provisioning_proto::Error) -> Error {
    Error::new("a change of certificates cannot be written", cause)
}

fn unread(cause: provisioning_proto::Error) -> Error {
    Error::new("what is stored of certificates cannot be read", cause)
}
