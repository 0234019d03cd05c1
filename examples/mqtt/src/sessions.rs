//! One connection for each device: who comes in a second time ends the first (MQTT 3.1.1, 3.1.4). Through its connection a device
//! can be asked to bootstrap again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// The connections whose devices are known; clones are the same ones.
#[derive(Clone, Debug, Default)]
pub struct Sessions(Arc<Mutex<Open>>);

#[derive(Debug, Default)]
struct Open {
    next: u64,
    by_device: BTreeMap<String, (u64, mpsc::Sender<()>)>,
}

/// A device's place; left when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    sessions: Sessions,
    device: String,
    number: u64,
}

impl Sessions {
    /// Asks a device, by the name that its port gives it ([`Port::name`](crate::Port::name)), to bootstrap again. Whether it is
    /// connected here; it is told when it listens.
    #[must_use]
    pub fn trigger(&self, device: &str) -> bool {
        let open = self.lock();
        let place = open.by_device.get(device);
        // Where one waits already, that one is enough.
        place.is_some_and(|(_, triggers)| {
            !matches!(triggers.try_send(()), Err(TrySendError::Closed(())))
        })
    }

    /// Takes the place of a device. Whoever had it learns so from the end of its triggers.
    pub(crate) fn take(&self, device: String) -> (Place, mpsc::Receiver<()>) {
        let (trigger, triggers) = mpsc::channel(1);
        let mut open = self.lock();
        let number = open.next;
        open.next = number.wrapping_add(1);
        drop(open.by_device.insert(device.clone(), (number, trigger)));
        drop(open);
        let place = Place {
            sessions: self.clone(),
            device,
            number,
        };
        (place, triggers)
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.sessions.lock();
        if open
            .by_device
            .get(&self.device)
            .is_some_and(|(number, _)| *number == self.number)
        {
            open.by_device.remove(&self.device);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::error::TryRecvError;

    use super::*;

    #[test]
    fn the_second_connection_of_a_device_ends_the_first_and_keeps_its_place() {
        let sessions = Sessions::default();
        let (first, mut first_told) = sessions.take("a".to_owned());
        let (_other, mut other_told) = sessions.take("b".to_owned());
        let (second, mut second_told) = sessions.take("a".to_owned());
        assert_eq!(first_told.try_recv(), Err(TryRecvError::Disconnected));
        assert_eq!(other_told.try_recv(), Err(TryRecvError::Empty));
        drop(first);
        assert_eq!(sessions.lock().by_device.len(), 2);
        assert_eq!(second_told.try_recv(), Err(TryRecvError::Empty));
        drop(second);
        assert_eq!(sessions.lock().by_device.len(), 1);
    }
    #[test]
    fn a_trigger_reaches_the_present_connection_of_its_device_and_no_other() {
        let sessions = Sessions::default();
        assert!(!sessions.trigger("a"));
        let (former, _) = sessions.take("a".to_owned());
        let (_other, mut other_told) = sessions.take("b".to_owned());
        let (present, mut told) = sessions.take("a".to_owned());
        assert!(sessions.trigger("a") && sessions.trigger("a"));
        assert_eq!(told.try_recv(), Ok(()));
        assert_eq!(told.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(other_told.try_recv(), Err(TryRecvError::Empty));
        drop(former);
        assert!(sessions.trigger("a"));
        drop(present);
        assert!(!sessions.trigger("a"));
    }
}
