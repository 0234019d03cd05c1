//! One connection for each device: who comes in a second time ends the first (MQTT 3.1.1, 3.1.4).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// The connections whose devices are known; clones are the same ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sessions(Arc<Mutex<Open>>);

#[derive(Debug, Default)]
struct Open {
    next: u64,
    by_device: BTreeMap<String, (u64, oneshot::Sender<()>)>,
}

/// A device's place; left when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    sessions: Sessions,
    device: String,
    number: u64,
}

impl Sessions {
    /// Takes the place of a device, and whoever had it is told.
    pub(crate) fn take(&self, device: String) -> (Place, oneshot::Receiver<()>) {
        let (end, ended) = oneshot::channel();
        let mut open = self.lock();
        let number = open.next;
        open.next = number.wrapping_add(1);
        if let Some((_, former)) = open.by_device.insert(device.clone(), (number, end)) {
            // It may have ended by itself.
            let _ = former.send(());
        }
        drop(open);
        let place = Place {
            sessions: self.clone(),
            device,
            number,
        };
        (place, ended)
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
    use super::*;

    #[test]
    fn the_second_connection_of_a_device_ends_the_first_and_keeps_its_place() {
        let sessions = Sessions::default();
        let (first, mut first_ended) = sessions.take("a".to_owned());
        let (_other, mut other_ended) = sessions.take("b".to_owned());
        let (second, mut second_ended) = sessions.take("a".to_owned());
        assert!(first_ended.try_recv().is_ok());
        assert!(other_ended.try_recv().is_err());
        drop(first);
        assert_eq!(sessions.lock().by_device.len(), 2);
        assert!(matches!(
            second_ended.try_recv(),
            Err(oneshot::error::TryRecvError::Empty)
        ));
        drop(second);
        assert_eq!(sessions.lock().by_device.len(), 1);
    }
}
