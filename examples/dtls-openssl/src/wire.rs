//! The stream that OpenSSL reads datagrams from and writes them to: one with each call.

use std::io::{self, Read, Write};
use std::mem;

/// At most one datagram waits to be read; OpenSSL is called with each, and reads until there is none.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    inbox: Option<Vec<u8>>,
    outbox: Vec<Vec<u8>>,
}

impl Wire {
    /// Lays down the datagram that is read next.
    pub(crate) fn put(&mut self, datagram: &[u8]) {
        // Nothing to read would be the end of the stream.
        self.inbox = (!datagram.is_empty()).then(|| datagram.to_vec());
    }

    /// Everything that was written.
    pub(crate) fn take(&mut self) -> Vec<Vec<u8>> {
        mem::take(&mut self.outbox)
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let datagram = self.inbox.take().ok_or(io::ErrorKind::WouldBlock)?;
        // As with a socket, what has no room is lost.
        let room = buffer.iter_mut().zip(&datagram);
        Ok(room.map(|(byte, read)| *byte = *read).count())
    }
}

impl Write for Wire {
    fn write(&mut self, datagram: &[u8]) -> io::Result<usize> {
        self.outbox.push(datagram.to_vec());
        Ok(datagram.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_is_read_once_and_what_has_no_room_is_lost() {
        let mut wire = Wire::default();
        let mut buffer = [0; 4];
        for (datagram, read) in [(&b"abc"[..], 3), (b"abcdef", 4)] {
            wire.put(datagram);
            assert_eq!(wire.read(&mut buffer).unwrap(), read);
            assert_eq!(buffer[..read], datagram[..read]);
            let empty = wire.read(&mut buffer).unwrap_err();
            assert_eq!(empty.kind(), io::ErrorKind::WouldBlock);
        }
    }

    #[test]
    fn an_empty_datagram_is_not_the_end() {
        let mut wire = Wire::default();
        wire.put(b"");
        let empty = wire.read(&mut [0; 4]).unwrap_err();
        assert_eq!(empty.kind(), io::ErrorKind::WouldBlock);
    }
}
