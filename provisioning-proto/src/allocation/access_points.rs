use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use crate::allocation::hashed::{Index, Owner, Spread};
use crate::allocation::{AccessPoint, Target};
use crate::limits::Limits;
use crate::{AccessPointId, ErrorKind};

/// The access points that a tenant has linked.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(from = "Vec<AccessPoint>", into = "Vec<AccessPoint>")]
pub struct AccessPoints {
    points: BTreeMap<AccessPointId, Arc<AccessPoint>>,
    /// What spreading needs, made ready when it is first asked for after a change.
    spread: OnceLock<Arc<Spread>>,
    /// How one is found at the same cost however many there are, likewise.
    index: OnceLock<Arc<Index>>,
}

impl AccessPoints {
    /// All of them, by their ids.
    #[must_use]
    pub fn all(&self) -> &BTreeMap<AccessPointId, Arc<AccessPoint>> {
        &self.points
    }

    /// One of them.
    #[must_use]
    pub fn access_point(&self, id: &AccessPointId) -> Option<&AccessPoint> {
        self.points.get(id).map(|point| &**point)
    }

    /// Whether an access point may be added, and why not.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Exists`], [`ErrorKind::InvalidValue`], [`ErrorKind::Full`].
    pub fn check_new(&self, point: &AccessPoint, limits: &Limits) -> Result<(), ErrorKind> {
        point.check()?;
        if self.points.contains_key(&point.id) {
            return Err(ErrorKind::Exists);
        }
        if self.points.len() >= limits.access_points {
            return Err(ErrorKind::Full);
        }
        Ok(())
    }

    /// Whether a target is one of these access points and of its applications.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownEntry`].
    pub fn check_target(&self, target: &Target) -> Result<(), ErrorKind> {
        let point = self.access_point(&target.access_point);
        let point = point.ok_or(ErrorKind::UnknownEntry)?;
        point.application(target.application.as_ref()).map(drop)
    }

    /// Adds an access point, in the place of one with its id.
    pub fn put(&mut self, point: AccessPoint) {
        self.points.insert(point.id.clone(), Arc::new(point));
        self.changed();
    }

    /// Removes an access point.
    pub fn remove(&mut self, id: &AccessPointId) -> Option<AccessPoint> {
        let point = self.points.remove(id)?;
        self.changed();
        Some(Arc::unwrap_or_clone(point))
    }

    fn changed(&mut self) {
        self.spread = OnceLock::new();
        self.index = OnceLock::new();
    }

    pub(super) fn spread(&self) -> &Spread {
        self.spread
            .get_or_init(|| Arc::new(Spread::new(self.points.values())))
    }

    /// The access point of a share, if it is one of these.
    pub(super) fn of_share<'s>(&'s self, share: Owner<'s>) -> Option<&'s AccessPoint> {
        share.point(|| self.index())
    }

    /// One of them by its id and the [`seed`](super::hashed::seed) of that, at the same cost however many there are.
    pub(super) fn of_seed(&self, id: &AccessPointId, seed: u64) -> Option<&AccessPoint> {
        self.index().get(id, seed)
    }

    fn index(&self) -> &Index {
        self.index
            .get_or_init(|| Arc::new(Index::new(self.points.values())))
    }
}

impl PartialEq for AccessPoints {
    fn eq(&self, other: &Self) -> bool {
        // The rest follows from them.
        self.points == other.points
    }
}

impl Eq for AccessPoints {}

impl From<Vec<AccessPoint>> for AccessPoints {
    fn from(list: Vec<AccessPoint>) -> Self {
        Self {
            points: list
                .into_iter()
                .map(|point| (point.id.clone(), Arc::new(point)))
                .collect(),
            spread: OnceLock::new(),
            index: OnceLock::new(),
        }
    }
}

impl From<AccessPoints> for Vec<AccessPoint> {
    fn from(points: AccessPoints) -> Self {
        let points = points.points.into_values();
        points.map(Arc::unwrap_or_clone).collect()
    }
}
