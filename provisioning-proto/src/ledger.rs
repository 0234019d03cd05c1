//! What every ledger does alike: its changes and snapshots as bytes, and itself from them.

/// Gives a ledger with `apply`, `Default` and serde, and its changes, their written forms.
macro_rules! ledger {
    ($ledger:ty, $change:ty, longest: $longest:expr, snapshot: $format:expr) => {
        impl $change {
            /// Writes the change for the journal, as CBOR.
            ///
            /// # Errors
            ///
            /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) should the encoder fail.
            pub fn encode(&self) -> Result<Vec<u8>, crate::Error> {
                crate::cbor::to_cbor(self)
            }

            /// Reads a change that was written by this or an earlier release.
            ///
            /// # Errors
            ///
            /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) for bytes that are no change, are too long, or go on
            /// after it.
            pub fn decode(bytes: &[u8]) -> Result<Self, crate::Error> {
                if bytes.len() > $longest {
                    return Err(crate::ErrorKind::Malformed.into());
                }
                crate::cbor::from_cbor(bytes)
            }
        }

        impl $ledger {
            /// Rebuilds the ledger from its changes, oldest first.
            ///
            /// # Errors
            ///
            /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed).
            pub fn replay<'c>(
                changes: impl IntoIterator<Item = &'c [u8]>,
            ) -> Result<Self, crate::Error> {
                let mut ledger = Self::default();
                ledger.replay_after(changes)?;
                Ok(ledger)
            }

            /// Takes in the changes that follow what the ledger holds, oldest first.
            ///
            /// # Errors
            ///
            /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed); the ledger then holds what came before the malformed
            /// change.
            pub fn replay_after<'c>(
                &mut self,
                changes: impl IntoIterator<Item = &'c [u8]>,
            ) -> Result<(), crate::Error> {
                for change in changes {
                    self.apply(&<$change>::decode(change)?);
                }
                Ok(())
            }

            /// Writes the whole ledger, in the form of this release's `SNAPSHOT_FORMAT`.
            ///
            /// # Errors
            ///
            /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) should the encoder fail.
            pub fn snapshot(&self) -> Result<Vec<u8>, crate::Error> {
                crate::cbor::to_cbor(self)
            }

            /// Reads a snapshot.
            ///
            /// # Errors
            ///
            /// [`ErrorKind::UnknownFormat`](crate::ErrorKind::UnknownFormat) for a form of another release: replay the
            /// changes, if they are still there; [`ErrorKind::Malformed`](crate::ErrorKind::Malformed).
            pub fn restore(format: u32, bytes: &[u8]) -> Result<Self, crate::Error> {
                if format != $format {
                    return Err(crate::ErrorKind::UnknownFormat.into());
                }
                crate::cbor::from_cbor(bytes)
            }
        }
    };
}

pub(crate) use ledger;
