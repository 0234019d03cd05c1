//! All devices at once.

use std::cell::{Cell, RefCell};
use std::fs;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use example_support::Error;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio::sync::Semaphore;
use tokio::task::LocalSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout_at};
use tokio_rustls::TlsConnector;

use crate::arguments::Arguments;
use crate::device::{Device, Outcome, Server};
use crate::summary::Summary;

/// The shortest and the longest wait before the next try, as in the vendor's program.
const AGAIN: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];

/// What all share.
struct World {
    server: Arc<Server>,
    until: Instant,
    begun: Instant,
}

/// Powers everything up and waits until all good devices are assigned, or the time is over.
///
/// # Errors
/// The CA's file or the server's name cannot be used.
pub(crate) async fn power_up(arguments: &Arguments) -> Result<Vec<Summary>, Error> {
    let begun = Instant::now();
    let world = Rc::new(World {
        server: Arc::new(server(arguments)?),
        until: begun + arguments.limit,
        begun,
    });
    let summaries: Vec<_> = arguments
        .groups
        .iter()
        .map(|group| Rc::new(RefCell::new(Summary::new(group))))
        .collect();
    let bad_tries = Rc::new(Cell::new(0_u64));
    let tasks = LocalSet::new();
    let mut place = 0;
    for (number, group) in arguments.groups.iter().enumerate() {
        // A load program has few enough files; but nobody waits here for another group's devices.
        let permits = Rc::new(Semaphore::new(arguments.connections));
        for device in 0..group.count {
            place += 1;
            let device = Device::new(group, &format!("g{number}"), device, place, true)?;
            let (world, summary) = (Rc::clone(&world), summaries.get(number).map(Rc::clone));
            let permits = Rc::clone(&permits);
            tasks.spawn_local(async move {
                if let Some(summary) = summary {
                    live(&world, &permits, &device, place, &summary).await;
                }
            });
        }
    }
    if let Some(group) = arguments.groups.first() {
        for device in 0..arguments.bad {
            place += 1;
            let device = Device::new(group, "bad", device, place, false)?;
            let (world, tries) = (Rc::clone(&world), Rc::clone(&bad_tries));
            tasks.spawn_local(async move { rage(&world, &device, &tries).await });
        }
    }
    let watch = watch(&world, &summaries, &bad_tries);
    tasks.run_until(watch).await;
    if arguments.bad > 0 {
        eprintln!("{} tries of the bad fleet ended", bad_tries.get());
    }
    Ok(summaries
        .iter()
        .map(|summary| summary.borrow().clone())
        .collect())
}

fn server(arguments: &Arguments) -> Result<Server, Error> {
    let unreadable = |cause| Error::new(format!("cannot read {}", arguments.ca.display()), cause);
    let pem = fs::read(&arguments.ca).map_err(unreadable)?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate =
            certificate.map_err(|cause| Error::new("the CA's file is no PEM", cause))?;
        roots
            .add(certificate)
            .map_err(|cause| Error::new("the CA's certificate cannot be used", cause))?;
    }
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Server {
        address: arguments.server,
        name: ServerName::try_from(arguments.name.clone())
            .map_err(|cause| Error::new("the server's name", cause))?,
        tls: TlsConnector::from(Arc::new(config)),
    })
}

/// Comes again until it is assigned.
async fn live(
    world: &World,
    permits: &Semaphore,
    device: &Device,
    place: u32,
    summary: &RefCell<Summary>,
) {
    let mut pause = AGAIN[0];
    loop {
        let outcome = {
            let Ok(_permit) = permits.acquire().await else {
                return;
            };
            device.ask(&world.server).await
        };
        summary.borrow_mut().tried(outcome);
        if outcome == Outcome::Assigned {
            summary.borrow_mut().assigned(world.begun.elapsed());
            return;
        }
        // Not all at the same moment: the place spreads them over half of the pause.
        sleep(pause / 2 + pause.mul_f64(f64::from(place % 97) / 194.0)).await;
        pause = (pause * 2).min(AGAIN[1]);
    }
}

/// Tries for ever, without a pause.
async fn rage(world: &World, device: &Device, tries: &Cell<u64>) {
    loop {
        device.ask(&world.server).await;
        tries.set(tries.get() + 1);
        // Whoever is refused at once must not keep this program from everything else.
        tokio::task::yield_now().await;
    }
}

/// Shows how far it is, until it is over.
async fn watch(world: &World, summaries: &[Rc<RefCell<Summary>>], bad_tries: &Cell<u64>) {
    let mut ticks = interval(Duration::from_millis(500));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let over = async {
        loop {
            ticks.tick().await;
            let (mut done, mut all) = (0, 0);
            for summary in summaries {
                let summary = summary.borrow();
                done += summary.done();
                all += summary.all();
            }
            eprint!(
                "\r{done} of {all} assigned, {:.0} s, {} bad tries  ",
                world.begun.elapsed().as_secs_f64(),
                bad_tries.get()
            );
            if done == all {
                break;
            }
        }
    };
    // The limit being reached shows in the summaries.
    drop(timeout_at(world.until, over).await);
    eprintln!();
}
