//! `device fleet`: many devices in one process.

mod args;
mod progress;
mod summary;

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use coap_psk::Request;
use device_fleet::{Fleet, Member, Plan, Wire};
use tokio::signal::unix::{SignalKind, signal};

use crate::entropy::entropy;
use crate::error::Error;
use crate::state;

pub(crate) use args::Args;
use progress::Progress;

/// How often the progress is looked at.
const TICK: Duration = Duration::from_millis(200);

/// Plays the fleet until it is settled, its time is over, or it is told to end; prints what came of it.
///
/// # Errors
/// The devices, the request or the socket are not usable.
pub(crate) async fn run(args: &Args) -> Result<ExitCode, Error> {
    let members = members(args)?;
    let plan = plan(args)?;
    let mut wire = Wire::open(args.cloud)
        .await
        .map_err(|cause| Error::new(format!("no way to {}", args.cloud), cause))?;
    let seeds = [entropy()?, entropy()?];
    let began = wire.now();
    let mut fleet = Fleet::new(members, plan, wire.port(), seeds, began);
    let end = args.duration.map(|limit| began.saturating_add(limit));
    let mut terminated = signal(SignalKind::terminate())
        .map_err(|cause| Error::new("cannot wait for SIGTERM", cause))?;
    let mut progress = Progress::to_stderr();
    while !fleet.is_settled() && end.is_none_or(|end| wire.now() < end) {
        let tick = wire.now().saturating_add(TICK);
        let until = end.map_or(tick, |end| end.min(tick));
        tokio::select! {
            driven = wire.drive(&mut fleet, until) => {
                driven.map_err(|cause| Error::new("the socket cannot be read", cause))?;
            }
            _ = terminated.recv() => break,
            _ = tokio::signal::ctrl_c() => break,
        }
        progress.show(&fleet, wire.now());
    }
    progress.end(&fleet);
    let took = wire.now().saturating_duration_since(began);
    let tally = fleet.tally().clone();
    wire.leave(&mut fleet).await;
    summary::print(fleet.devices(), &tally, took);
    Ok(if tally.failed() == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn members(args: &Args) -> Result<Vec<Member>, Error> {
    if let Some(path) = &args.devices_file {
        let text = fs::read_to_string(path).map_err(|cause| not_readable(path, cause))?;
        let mut members = Member::read(&text)?;
        members.truncate(args.count.unwrap_or(members.len()));
        return Ok(members);
    }
    let (Some(product), Some(path)) = (&args.product_key, &args.product_secret_file) else {
        return Err(Error::plain("no devices are named"));
    };
    let secret = state::product_secret(path)?;
    let count = args.count.unwrap_or(DEFAULT_COUNT);
    Member::of_product(product, &secret, &args.device_prefix, count)
}

/// How many devices of a product there are unless it is said.
const DEFAULT_COUNT: usize = 100;

fn plan(args: &Args) -> Result<Plan, Error> {
    let payload = match &args.payload_file {
        Some(path) => fs::read(path).map_err(|cause| not_readable(path, cause))?,
        None => args::MEASUREMENT.as_bytes().to_vec(),
    };
    let request = Request::new(args.method.into(), &args.target)
        .map_err(|cause| Error::new(format!("{} is no target", args.target), cause))?;
    let request = match args.method {
        args::Method::Get => request,
        args::Method::Post | args::Method::Put => {
            request.with_payload(args.content_format, payload)
        }
    };
    let mut plan = Plan::new(request);
    plan.arrivals = args.arrivals;
    plan.at_once = args.at_once.get();
    plan.requests = (!args.endless).then_some(args.requests);
    plan.interval = args.interval;
    plan.lifetime = args.lifetime;
    plan.attempts = args.attempts.get();
    Ok(plan)
}

fn not_readable(path: &Path, cause: std::io::Error) -> Error {
    Error::new(format!("cannot read {}", path.display()), cause)
}
