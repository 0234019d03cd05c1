//! What a tenant's devices can become at the access points that it may use. A product is the application of an access point.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};

use super::failure::Failure;
use super::page::Page;
use super::route::Call;
use super::{Context, Step, found};
use crate::{AccessPointId, ApplicationId, Code};

pub(super) fn read(
    context: &Context<'_>,
    call: Call,
    request: &Request<Bytes>,
) -> Result<Step, Failure> {
    let products = products(context)?;
    match call {
        Call::List => {
            let page = Page::read(request)?;
            let at = page.filter("access_point_id");
            let offered = products.iter().filter(|(_, points)| {
                at.is_none_or(|at| points.iter().any(|point| point.as_str() == at))
            });
            let list = page.take(
                offered.map(|(id, points)| (id.as_str(), (id, points))),
                |_, (id, points)| Some(show(id, points)),
            );
            Ok(page.answer("products", list))
        }
        Call::Show(id) => {
            let id: ApplicationId = id.parse()?;
            let points = products.get(&id).ok_or(Code::NOT_FOUND)?;
            found(Some((show(&id, points), 0)), Code::NOT_FOUND)
        }
        _ => Err(Code::NOT_FOUND.into()),
    }
}

/// Every application with the access points that have it.
fn products(
    context: &Context<'_>,
) -> Result<BTreeMap<ApplicationId, BTreeSet<AccessPointId>>, Failure> {
    let holding = context.directory.holding(context.tenant);
    let points = holding.ok_or(Code::USER_NOT_FOUND)?.access_points.all();
    let mut products: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for point in points.values().filter(|point| point.is_granted()) {
        for application in &point.applications {
            let offering = products.entry(application.clone()).or_default();
            offering.insert(point.id.clone());
        }
    }
    Ok(products)
}

fn show(id: &ApplicationId, points: &BTreeSet<AccessPointId>) -> Value {
    json!({"product_id": id, "access_point_ids": points})
}
