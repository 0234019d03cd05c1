use super::{Change, Fact, Issued, IssuedCertificates, Issuer, State};
use crate::certificates::Serial;

impl IssuedCertificates {
    /// Takes in a change. Cannot fail: what does not fit has no effect.
    pub fn apply(&mut self, change: &Change) {
        let at = change.at;
        self.latest = self.latest.max(at);
        match &change.fact {
            Fact::IssuerAdded {
                issuer,
                certificate,
                key,
                list_url,
            } => {
                self.issuers
                    .entry(issuer.clone())
                    .or_insert_with(|| Issuer {
                        certificate: (**certificate).clone(),
                        key: key.clone(),
                        list_url: list_url.clone(),
                        list_number: 0,
                    });
                self.current = Some(issuer.clone());
            }
            Fact::ProfileSet { profile, settings } => {
                self.profiles.insert(profile.clone(), settings.clone());
            }
            Fact::ProfileRemoved { profile } => {
                self.profiles.remove(profile);
            }
            Fact::CertificateIssued { serial, issued } => self.hold(serial, issued),
            Fact::CertificateActivated { serial } => self.turn(serial, State::Active),
            Fact::CertificateSuperseded { serial } => {
                self.turn(serial, State::Superseded { at });
            }
            Fact::CertificateRevoked { serial, reason } => {
                let reason = *reason;
                self.turn(serial, State::Revoked { at, reason });
            }
            Fact::PendingRemoved { serial } | Fact::CertificateExpired { serial } => {
                self.remove(serial);
            }
            Fact::KeysReleased { id } => self.keys.retain(|_, owner| owner != id),
            Fact::ListIssued { issuer, number } => {
                if let Some(issuer) = self.issuers.get_mut(issuer) {
                    issuer.list_number = issuer.list_number.max(*number);
                }
            }
        }
    }

    fn hold(&mut self, serial: &Serial, issued: &Issued) {
        if self.certificates.contains_key(serial) {
            return;
        }
        self.keys
            .entry(issued.key.clone())
            .or_insert_with(|| issued.id.clone());
        self.by_id
            .entry(issued.id.clone())
            .or_default()
            .insert(serial.clone());
        self.due.insert((issued.due(), serial.clone()));
        self.certificates.insert(serial.clone(), issued.clone());
    }

    fn turn(&mut self, serial: &Serial, state: State) {
        let Some(issued) = self.certificates.get_mut(serial) else {
            return;
        };
        // Revoked is for ever.
        if matches!(issued.state, State::Revoked { .. }) {
            return;
        }
        self.due.remove(&(issued.due(), serial.clone()));
        issued.state = state;
        self.due.insert((issued.due(), serial.clone()));
    }

    fn remove(&mut self, serial: &Serial) {
        let Some(issued) = self.certificates.remove(serial) else {
            return;
        };
        self.due.remove(&(issued.due(), serial.clone()));
        if let Some(serials) = self.by_id.get_mut(&issued.id) {
            serials.remove(serial);
            if serials.is_empty() {
                self.by_id.remove(&issued.id);
            }
        }
    }
}

impl Issued {
    /// When it is to be removed, in Unix milliseconds.
    pub(super) fn due(&self) -> u64 {
        match self.state {
            State::PendingActivation { expires_at, .. } => expires_at.min(self.not_after),
            _ => self.not_after,
        }
    }
}
