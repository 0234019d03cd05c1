//! The keys of tokens: what there is, another one, and the end of an old one when nothing hangs on it.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::Operator;
use crate::clock;
use crate::error::Error;
use crate::keys::{Kind, Shown};

impl Operator {
    /// All keys, with what hangs on each.
    pub(super) async fn list_keys(&self) -> Result<Value, Error> {
        let links = self.links_by_key().await?;
        let rows: Vec<_> = self
            .linking
            .keys()?
            .iter()
            .map(|key| row(key, &links))
            .collect();
        Ok(json!({ "key": rows }))
    }

    /// Another key, which makes the tokens from now on.
    pub(super) async fn add_key(&self, kind: Kind) -> Result<Value, Error> {
        let number = self.linking.add_key(kind).await?;
        Ok(json!({"kind": kind.word(), "number": number}))
    }

    /// Takes a key away; what hangs on it keeps it, unless the operator says otherwise.
    pub(super) async fn retire_key(
        &self,
        kind: Kind,
        number: u8,
        force: bool,
    ) -> Result<Value, Error> {
        if !force {
            self.check_unused(kind, number).await?;
        }
        self.linking.retire_key(kind, number).await?;
        Ok(json!({"retired": format!("{} {number}", kind.word())}))
    }

    async fn check_unused(&self, kind: Kind, number: u8) -> Result<(), Error> {
        match kind {
            Kind::Refresh => {
                let links = self.links_by_key().await?;
                match links.get(&number) {
                    None => Ok(()),
                    Some(links) => Err(Error::plain(format!(
                        "{links} links have a refresh token of this key, which they change when they next use it; \
                         with --force they have to be made anew"
                    ))),
                }
            }
            Kind::Signing => {
                let keys = self.linking.keys()?;
                let mut keys = keys.iter();
                let key = keys.find(|key| key.kind == kind && key.number == number);
                let since = key.and_then(|key| key.superseded);
                let last = since.and_then(|since| since.checked_add(self.access_token_lifetime));
                match last.and_then(|last| last.duration_since(clock::wall()).ok()) {
                    Some(left) if left > Duration::ZERO => Err(Error::plain(format!(
                        "access tokens of this key are good for {} more seconds; with --force they open nothing from now on",
                        left.as_secs()
                    ))),
                    _ => Ok(()),
                }
            }
        }
    }

    /// How many links have a refresh token of each key.
    async fn links_by_key(&self) -> Result<BTreeMap<u8, usize>, Error> {
        let mut links = BTreeMap::new();
        for (_, id) in self.users.all().await {
            for grant in self.linking.grants(&id).await? {
                if let Some(key) = grant.refresh_key {
                    let count = links.entry(key).or_insert(0_usize);
                    *count = count.saturating_add(1);
                }
            }
        }
        Ok(links)
    }
}

fn row(key: &Shown, links: &BTreeMap<u8, usize>) -> Value {
    let of = links.get(&key.number).copied().unwrap_or_default();
    let at = |time: SystemTime| httpdate::fmt_http_date(time);
    json!({
        "kind": key.kind.word(),
        "number": key.number,
        "id": key.id,
        "since": key.since.map(at),
        "superseded": key.superseded.map(at),
        "links": (key.kind == Kind::Refresh).then_some(of),
    })
}
