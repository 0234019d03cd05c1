use std::time::SystemTime;

use crate::directory::{CertificateNames, Directory, Evidence, Holding, Issuer, IssuerNames};
use crate::model::{
    Attestation, Derivation, EvidenceClass, Fingerprint, GroupAttestation, PskIdentity,
};
use crate::mqtt::{GroupSecret, TimedMac, Verdict, Window};
use crate::roster::{Registration, Roster};
use crate::tenant::Tenant;
use crate::time::unix_millis;
use crate::{CaId, GroupId, RegistrationId, ScopeId, SealedSecret, Secret, TenantId};

/// How many candidates one piece of evidence has at most: two tenants may have the same id, and a scope several groups.
const MAX_CANDIDATES: usize = 8;

/// A device that proved who it is. Made by [`Candidate::check`] alone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Principal {
    pub(super) tenant: TenantId,
    pub(super) id: RegistrationId,
    pub(super) group: Option<GroupId>,
    pub(super) class: EvidenceClass,
    /// Of an individual enrollment, whose secret may have changed since; a group's attestation never changes.
    pub(super) entry_version: u64,
    pub(super) authorities: Vec<CaId>,
    pub(super) pin: Option<Fingerprint>,
    pub(super) certificate: Option<Box<Certified>>,
}

/// What is told of a device's certificate and of the nearest authority that vouches for it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Certified {
    pub(crate) names: CertificateNames,
    pub(crate) authority: Option<IssuerNames>,
}

impl Principal {
    /// The tenant, as its credential says.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &RegistrationId {
        &self.id
    }

    /// The group through which it comes; none for a device that was enrolled itself.
    #[must_use]
    pub fn group(&self) -> Option<&GroupId> {
        self.group.as_ref()
    }

    /// How strong its proof was.
    #[must_use]
    pub fn class(&self) -> EvidenceClass {
        self.class
    }

    /// The tenant's authorities in its chain, nearest first.
    #[must_use]
    pub fn authorities(&self) -> &[CaId] {
        &self.authorities
    }

    /// What is told of its certificate; none where it proved itself otherwise.
    pub(crate) fn certificate(&self) -> Option<&Certified> {
        self.certificate.as_deref()
    }

    /// The certificate that is to be pinned because it is the first.
    #[must_use]
    pub fn pin(&self) -> Option<&Fingerprint> {
        self.pin.as_ref()
    }
}

/// A device that the evidence may be of, and the secrets that would show it.
///
/// The secrets are sealed. The caller opens those of [`secrets`](Self::secrets) and hands them to [`check`](Self::check); a
/// device that came by a handshake has its first one as the key.
#[derive(Clone, Debug)]
pub struct Candidate {
    principal: Principal,
    stream: String,
    field: String,
    secrets: Vec<SealedSecret>,
    proof: Proof,
}

#[derive(Clone, Copy, Debug)]
enum Proof {
    /// A MAC over the secret.
    Mac,
    /// A MAC over what follows from the group's secret.
    Derived(Derivation),
    /// The caller has checked the proof.
    Done,
}

impl Candidate {
    fn is_certified(&mut self, names: &CertificateNames, issuers: &[Issuer]) {
        let nearest = self.principal.authorities.first();
        let vouches = |issuer: &&Issuer| {
            issuer.tenant == self.principal.tenant && Some(&issuer.ca) == nearest
        };
        let authority = issuers.iter().find(vouches);
        self.principal.certificate = Some(Box::new(Certified {
            names: names.clone(),
            authority: authority.map(|issuer| issuer.certificate.clone()),
        }));
    }

    /// The sealed secrets, each with the stream and the field that it is sealed for.
    pub fn secrets(&self) -> impl Iterator<Item = (&str, &str, &SealedSecret)> {
        let place = (self.stream.as_str(), self.field.as_str());
        self.secrets
            .iter()
            .map(move |secret| (place.0, place.1, secret))
    }

    /// Whether the evidence is this device's. Every opened secret is tried, so that the time tells nothing of which fits.
    #[must_use]
    pub fn check(
        &self,
        evidence: &Evidence,
        opened: &[Secret],
        window: Window,
        wall: SystemTime,
    ) -> Option<Principal> {
        let accepted = match (&self.proof, evidence) {
            (Proof::Done, Evidence::Certificate { .. } | Evidence::Psk { .. }) => true,
            (Proof::Mac, Evidence::TimedMac { mac, .. }) => {
                opened.iter().fold(false, |found, secret| {
                    found | fits(mac, secret, window, wall)
                })
            }
            (Proof::Derived(derivation), Evidence::TimedMac { mac, .. }) => {
                opened.iter().fold(false, |found, secret| {
                    let Ok(group) = GroupSecret::new(secret.expose()) else {
                        return found;
                    };
                    let derived = derivation.derive(&group, &self.principal.id);
                    found | fits(mac, &derived, window, wall)
                })
            }
            _ => false,
        };
        accepted.then(|| self.principal.clone())
    }
}

fn fits(mac: &TimedMac, secret: &Secret, window: Window, wall: SystemTime) -> bool {
    mac.check(secret, window, wall) == Verdict::Accepted
}

impl Directory {
    /// The devices that the evidence may be of, best first; empty for what nobody can have proved. Whether one that proves it
    /// may come in is [`admit`](Self::admit)'s to say.
    #[must_use]
    pub fn candidates(&self, evidence: &Evidence, wall: SystemTime) -> Vec<Candidate> {
        let mut candidates = match evidence {
            Evidence::TimedMac { scope, id, .. } => match scope {
                Some(scope) => self.in_scope(scope, id),
                None => self.known_as(id),
            },
            Evidence::Certificate {
                scope,
                id,
                issuers,
                fingerprints,
                names,
            } => {
                let mut found = self.certified(scope.as_ref(), id, issuers, fingerprints, wall);
                for candidate in &mut found {
                    candidate.is_certified(names, issuers);
                }
                found
            }
            Evidence::Psk { identity } => self.by_identity(identity).into_iter().collect(),
        };
        candidates.truncate(MAX_CANDIDATES);
        candidates
    }

    /// The device whose key a handshake under this identity takes. What it proves is asked afterwards with [`Evidence::Psk`].
    #[must_use]
    pub fn by_identity(&self, identity: &PskIdentity) -> Option<Candidate> {
        let (tenant, id) = self.identities.get(identity)?;
        let registration = self.registration(tenant, id)?;
        let Attestation::DtlsPsk { key, .. } = &registration.enrollment.as_ref()?.attestation
        else {
            return None;
        };
        let secrets = vec![key.clone()];
        let enrolled = Roster::enrolled_secret_field(id);
        let class = EvidenceClass::OwnSecret;
        let mut candidate = individual(tenant, id, registration, class, enrolled, secrets);
        candidate.proof = Proof::Done;
        Some(candidate)
    }

    fn in_scope(&self, scope: &ScopeId, id: &RegistrationId) -> Vec<Candidate> {
        let Some((tenant, holding)) = self.scopes.get(scope).and_then(|tenant| {
            let holding = self.tenants.get(tenant)?;
            Some((tenant, holding))
        }) else {
            return Vec::new();
        };
        let registration = self.registration(tenant, id);
        // An individual entry wins over every group, also when it keeps the device out.
        if let Some(known) = registration.filter(|known| known.enrollment.is_some()) {
            return by_own_secret(tenant, id, known).into_iter().collect();
        }
        let own = registration.and_then(|known| by_own_secret(tenant, id, known));
        let groups = holding.settings.groups().iter();
        let groups = groups.filter(|(_, group)| group.value.scope == *scope);
        let derived = groups.filter_map(|(group, entry)| {
            let GroupAttestation::GroupKey {
                primary,
                secondary,
                derivation,
            } = &entry.value.attestation
            else {
                return None;
            };
            if !entry.value.ids.admits(id) {
                return None;
            }
            Some(Candidate {
                principal: Principal {
                    tenant: tenant.clone(),
                    id: id.clone(),
                    group: Some(group.clone()),
                    class: EvidenceClass::GroupKey,
                    entry_version: entry.version,
                    authorities: Vec::new(),
                    pin: None,
                    certificate: None,
                },
                stream: Tenant::stream(tenant),
                field: Tenant::group_secret_field(group),
                secrets: [Some(primary), secondary.as_ref()]
                    .into_iter()
                    .flatten()
                    .cloned()
                    .collect(),
                proof: Proof::Derived(*derivation),
            })
        });
        own.into_iter().chain(derived).collect()
    }

    fn known_as(&self, id: &RegistrationId) -> Vec<Candidate> {
        let tenants = self.known.get(id).into_iter().flatten();
        tenants
            .filter_map(|tenant| by_own_secret(tenant, id, self.registration(tenant, id)?))
            .collect()
    }

    fn certified(
        &self,
        scope: Option<&ScopeId>,
        id: &RegistrationId,
        issuers: &[Issuer],
        fingerprints: &[Fingerprint],
        wall: SystemTime,
    ) -> Vec<Candidate> {
        let named = scope.map(|scope| self.scopes.get(scope));
        if named.is_some_and(|tenant| tenant.is_none()) {
            return Vec::new();
        }
        let named = named.flatten();
        let mut tenants: Vec<&TenantId> = issuers.iter().map(|issuer| &issuer.tenant).collect();
        tenants.extend(self.known.get(id).into_iter().flatten());
        tenants.sort_unstable();
        tenants.dedup();
        tenants
            .into_iter()
            .filter(|tenant| named.is_none_or(|named| named == *tenant))
            .filter_map(|tenant| {
                let holding = self.tenants.get(tenant)?;
                let own: Vec<&Issuer> =
                    issuers.iter().filter(|one| one.tenant == *tenant).collect();
                let registration = self.registration(tenant, id);
                match registration.filter(|known| known.enrollment.is_some()) {
                    Some(known) => {
                        enrolled_certificate(tenant, id, known, &own, fingerprints, wall)
                    }
                    None => group_certificate(holding, tenant, id, scope, &own),
                }
            })
            .collect()
    }
}

fn individual(
    tenant: &TenantId,
    id: &RegistrationId,
    registration: &Registration,
    class: EvidenceClass,
    field: String,
    secrets: Vec<SealedSecret>,
) -> Candidate {
    Candidate {
        principal: Principal {
            tenant: tenant.clone(),
            id: id.clone(),
            group: None,
            class,
            entry_version: registration.entry_version,
            authorities: Vec::new(),
            pin: None,
            certificate: None,
        },
        stream: Roster::stream(tenant, Roster::shard_of(id)),
        field,
        secrets,
        proof: Proof::Mac,
    }
}

/// With the secret that it was enrolled with, or that a group's device was given.
fn by_own_secret(
    tenant: &TenantId,
    id: &RegistrationId,
    registration: &Registration,
) -> Option<Candidate> {
    let class = EvidenceClass::OwnSecret;
    if let Some(enrollment) = &registration.enrollment {
        let Attestation::SymmetricKey { primary, secondary } = &enrollment.attestation else {
            return None;
        };
        let secrets = [Some(primary), secondary.as_ref()];
        let secrets = secrets.into_iter().flatten().cloned().collect();
        let field = Roster::enrolled_secret_field(id);
        return Some(individual(tenant, id, registration, class, field, secrets));
    }
    let own = registration.own_secret.clone()?;
    let assignment = registration.current.as_ref()?;
    let field = Roster::own_secret_field(id);
    let mut candidate = individual(tenant, id, registration, class, field, vec![own]);
    candidate.principal.group = Some(assignment.group.clone()?);
    candidate.principal.entry_version = 0;
    Some(candidate)
}

fn enrolled_certificate(
    tenant: &TenantId,
    id: &RegistrationId,
    registration: &Registration,
    issuers: &[&Issuer],
    fingerprints: &[Fingerprint],
    wall: SystemTime,
) -> Option<Candidate> {
    let class = EvidenceClass::Certificate;
    let mut candidate = individual(tenant, id, registration, class, String::new(), Vec::new());
    candidate.proof = Proof::Done;
    candidate.principal.authorities = issuers.iter().map(|issuer| issuer.ca.clone()).collect();
    match &registration.enrollment.as_ref()?.attestation {
        Attestation::X509Ca { ca, accept_expired } => issuers
            .iter()
            .any(|issuer| issuer.ca == *ca && (*accept_expired || !issuer.expired))
            .then_some(candidate),
        Attestation::X509Leaf {
            fingerprints: pinned,
            first_use_until,
        } => {
            if fingerprints.iter().any(|one| pinned.contains(one)) {
                return Some(candidate);
            }
            if !pinned.is_empty() || *first_use_until <= unix_millis(wall) {
                return None;
            }
            // The longest is the best hash.
            candidate.principal.pin = fingerprints
                .iter()
                .max_by_key(|one| one.as_str().len())
                .cloned();
            candidate.principal.pin.is_some().then_some(candidate)
        }
        _ => None,
    }
}

fn group_certificate(
    holding: &Holding,
    tenant: &TenantId,
    id: &RegistrationId,
    scope: Option<&ScopeId>,
    issuers: &[&Issuer],
) -> Option<Candidate> {
    let groups = holding.settings.groups().iter();
    groups
        .filter(|(_, group)| scope.is_none_or(|scope| group.value.scope == *scope))
        .find_map(|(group, entry)| {
            let GroupAttestation::X509Ca { ca, accept_expired } = &entry.value.attestation else {
                return None;
            };
            let vouched = issuers
                .iter()
                .any(|issuer| issuer.ca == *ca && (*accept_expired || !issuer.expired));
            if !vouched {
                return None;
            }
            Some(Candidate {
                principal: Principal {
                    tenant: tenant.clone(),
                    id: id.clone(),
                    group: Some(group.clone()),
                    class: EvidenceClass::Certificate,
                    entry_version: entry.version,
                    authorities: issuers.iter().map(|issuer| issuer.ca.clone()).collect(),
                    pin: None,
                    certificate: None,
                },
                stream: String::new(),
                field: String::new(),
                secrets: Vec::new(),
                proof: Proof::Done,
            })
        })
}
