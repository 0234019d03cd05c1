//! The running cloud: everything opened, wired together, and ended in good order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use example_support::told_to_stop;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{error, info};
use uci_server_core::driver;

use crate::admin::{self, Order};
use crate::args::Serve;
use crate::certificates::{DevelopmentCa, client_config};
use crate::certification::Certification;
use crate::config::Config;
use crate::doors::Doors;
use crate::error::Error;
use crate::gateway::{self, Engine, Gateway};
use crate::https::{self, Limits, Transport};
use crate::linking;
use crate::lwm2m;
use crate::monitor::{Metrics, Monitor, Observatory, Phase, Queues};
use crate::mqtt;
use crate::operator::Operator;
use crate::outbound::{AddressRule, Outbound, Schemes};
use crate::pages::TemplatePages;
use crate::products::Products;
use crate::provisioning::{Functions, Instances, Management, Provisioning};
use crate::reload::{Files, Reloader};
use crate::store::Store;
use crate::uci;
use crate::users::Users;

/// How many commands may wait for a task of the cloud.
const QUEUE: usize = 4096;

/// Runs the cloud until it is told to stop.
///
/// # Errors
/// Something cannot be opened or listened on; nothing was begun then.
pub(crate) async fn run(serve: &Serve) -> Result<(), Error> {
    let mut config = Config::read(&serve.file.config)?;
    config.coaps.dtls = serve.dtls.unwrap_or(config.coaps.dtls);
    let monitor = Monitor::default();
    let engines = Engine::for_shards(&config.coaps, &monitor.metrics)?;
    let store = Store::open(&config.data_dir, &config.key_dir, monitor.clone())?;
    let ca = DevelopmentCa::open(&config.data_dir)?;
    let (reloader, tls) = Reloader::start(certificate_files(&config, &ca)?, metrics(&monitor))?;
    let https = bind(config.https.listen, "https.listen").await?;
    let monitoring = match &config.monitoring {
        Some(monitoring) => Some(bind(monitoring.listen, "monitoring.listen").await?),
        None => None,
    };
    let coaps = gateway::bind(&config.coaps)?;
    let mqtt = match config.mqtt.listen {
        Some(listen) => Some(bind(listen, "mqtt.listen").await?),
        None => None,
    };
    let bootstraps = match config.lwm2m.listen {
        Some(listen) => Some(lwm2m::bind(listen).await?),
        None => None,
    };
    if (mqtt.is_some() || bootstraps.is_some()) && !config.provisioning.enabled {
        return Err(Error::plain(
            "mqtt.listen and lwm2m.listen in the configuration need provisioning.enabled = true",
        ));
    }
    let operators = admin::listen(&config.data_dir)?;
    let users = Users::load(&store).await?;
    let products = Products::load(&store).await?;
    let certification = Certification::load(&store, &config.issuer()).await?;

    let (cloud, cloud_commands) = driver::handle(QUEUE);
    let (linking, linking_running) =
        linking::prepare(&config, store.clone(), users.clone(), cloud.clone())?;
    let (calls, shards) = gateway::shards(&config.coaps);
    let (ask, asked) = mpsc::channel(QUEUE);
    let (outputs, device_outputs) = gateway::outputs();
    let patience = Duration::from_secs(config.notifications.timeout_seconds);
    let outbound = outbound(&config, &ca, patience)?;
    let observatory = Observatory {
        monitor: monitor.clone(),
        store: store.clone(),
        queues: Queues {
            cloud: cloud.clone(),
            gateway: ask.downgrade(),
            devices: outputs.downgrade(),
        },
        devices: calls.clone(),
    };
    let monitoring = monitoring.map(|listener| tokio::spawn(observe(listener, observatory)));

    let (stop, stopping) = watch::channel(false);
    let mut tasks = tokio::task::JoinSet::new();
    let settings = uci::settings(&config);
    tasks.spawn(uci::drive(
        settings,
        cloud_commands,
        monitor.clone(),
        store.clone(),
        outbound,
        ask.clone(),
    ));
    tasks.spawn(linking_running);
    // First what has ended ends everywhere; only then may anything leave, and devices speak.
    let unsettled = linking.settle().await?;
    uci::wake_all(&store, &cloud, &unsettled).await?;
    for ((socket, engine), shard) in coaps.into_iter().zip(engines).zip(shards) {
        let (coaps, outputs) = (config.coaps.clone(), outputs.clone());
        tasks.spawn(gateway::drive(socket, coaps, engine, shard, outputs));
    }
    drop(outputs);
    tasks.spawn(reloader.run());
    tasks.spawn(certification.clone().expire());
    let gateway = Gateway::new(
        products.clone(),
        cloud.clone(),
        calls,
        &config.coaps,
        metrics(&monitor),
    );
    tasks.spawn(async move {
        gateway.run(device_outputs, asked).await;
        Ok(())
    });
    let devices = ask.clone();
    let operator = Operator {
        users,
        products,
        linking: linking.clone(),
        cloud: cloud.clone(),
        gateway: ask,
        store: store.clone(),
        access_token_lifetime: Duration::from_secs(config.linking.access_token_seconds),
        certification: certification.clone(),
        provisioning: Arc::default(),
    };
    // Before anybody can log in.
    operator.finish_erasures().await?;
    let provisioning = provisioning(&config, &ca, &store, &operator).await?;
    if let Some(provisioning) = provisioning.clone() {
        operator.products.tell(&provisioning);
        certification.tell(&provisioning);
        operator.finish_forgetting(&provisioning).await?;
        if let Some(socket) = bootstraps {
            let lwm2m = lwm2m::serve(socket, config.lwm2m.clone(), provisioning.clone());
            tasks.spawn(lwm2m);
        }
        tasks.spawn(provisioning.run());
    }
    let bootstrapping = mqtt
        .zip(provisioning.clone())
        .map(|(listener, provisioning)| {
            let desk = mqtt::Desk {
                provisioning: provisioning.clone(),
            };
            let door = mqtt::door(listener, &config.mqtt, tls.clone(), desk, metrics(&monitor));
            provisioning.reach_through(door.sessions());
            tokio::spawn(door.run(stopping.clone()))
        });
    let orders = provisioning.clone();
    tokio::spawn(admin::serve(operators, move |request| {
        let (operator, provisioning) = (operator.clone(), orders.clone());
        async move {
            match (request, provisioning) {
                (Order::Provisioning(order), Some(provisioning)) => provisioning.obey(order).await,
                (request, _) => operator.carry_out(request).await,
            }
        }
    }));

    let limits = Limits {
        max_body_bytes: config.https.max_body_bytes,
        max_connections: config.https.max_connections,
    };
    let style = TemplatePages::style(config.linking.pages_dir.as_deref())?;
    let management = provisioning
        .map(|provisioning| Management::new(provisioning, &config.provisioning.operators))
        .transpose()?;
    let doors = Doors::new(
        cloud,
        linking,
        certification,
        metrics(&monitor),
        style,
        management,
    );
    let serving = tokio::spawn(https::serve(
        https,
        Transport::Tls(tls),
        limits,
        move |request| {
            let doors = doors.clone();
            async move { doors.answer(request).await }
        },
        stopping,
    ));
    monitor.health.enter(Phase::Running);
    announce(&config, &ca);
    let result = tokio::select! {
        () = told_to_stop() => Ok(()),
        Some(ended) = tasks.join_next() => Err(match ended {
            Ok(Err(cause)) => cause,
            Ok(Ok(())) => Error::plain("a part of the cloud ended by itself"),
            Err(cause) => Error::new("a part of the cloud broke", cause),
        }),
    };
    info!("stopping");
    monitor.health.enter(Phase::Stopping);
    stop.send_replace(true);
    if let Err(cause) = serving.await {
        error!(%cause, "the HTTPS listener broke");
    }
    if let Some(bootstrapping) = bootstrapping {
        match bootstrapping.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => error!(error = error.chain(), "the MQTT listener broke"),
            Err(cause) => error!(%cause, "the MQTT listener broke"),
        }
    }
    let (stopped, all_told) = oneshot::channel();
    if devices.send(gateway::Command::Stop(stopped)).await.is_ok() {
        drop(all_told.await);
    }
    // What is durable is in the journal; the rest was promised to nobody.
    tasks.shutdown().await;
    if let Some(monitoring) = monitoring {
        monitoring.abort();
    }
    drop(std::fs::remove_file(admin::socket(&config.data_dir)));
    drop(store);
    info!("stopped");
    result
}

/// The provisioning service, if the operator wants one.
async fn provisioning(
    config: &Config,
    ca: &DevelopmentCa,
    store: &Store,
    operator: &Operator,
) -> Result<Option<Provisioning>, Error> {
    if !config.provisioning.enabled {
        return Ok(None);
    }
    let policy = uci::settings(config).events_url;
    let asking = outbound(config, ca, Functions::PATIENCE)?;
    let functions = Functions::new(&config.provisioning.functions, &policy, asking)?;
    let patience = Duration::from_secs(config.notifications.timeout_seconds);
    let asking = outbound(config, ca, patience)?;
    let instances = Instances::new(&config.provisioning.instances, &policy, asking)?;
    let operator = operator.clone();
    Provisioning::load(&config.provisioning, store, operator, functions, instances)
        .await
        .map(Some)
}

#[expect(
    clippy::print_stdout,
    reason = "the operator and the demo wait for this line"
)]
fn announce(config: &Config, ca: &DevelopmentCa) {
    println!(
        "device-side-cloud listening on {} and coaps://{}; development CA {}",
        config.issuer(),
        config.coaps.listen,
        ca.certificate().display()
    );
}

fn metrics(monitor: &Monitor) -> Arc<Metrics> {
    Arc::clone(&monitor.metrics)
}

async fn bind(address: SocketAddr, key: &str) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|cause| {
        let what = format!("cannot listen on tcp {address} ({key} in the configuration)");
        Error::new(what, cause)
    })
}

/// The operator's own certificate, or one of the development CA.
fn certificate_files(config: &Config, ca: &DevelopmentCa) -> Result<Files, Error> {
    let (certificate, private_key) = match (&config.https.certificate, &config.https.private_key) {
        (Some(certificate), Some(key)) => (certificate.clone(), key.clone()),
        _ => ca.issue("server", &["localhost", "127.0.0.1"])?,
    };
    Ok(Files {
        certificate,
        private_key,
    })
}

/// Answers the operator's tools until the program ends: it is to be seen stopping, too.
async fn observe(listener: TcpListener, observatory: Observatory) {
    let limits = Limits {
        max_body_bytes: 1024,
        max_connections: 64,
    };
    let (_never, stop) = watch::channel(false);
    let answer = move |request| observatory.clone().answer(request);
    https::serve(listener, Transport::Plain, limits, answer, stop).await;
}

fn outbound(config: &Config, ca: &DevelopmentCa, timeout: Duration) -> Result<Outbound, Error> {
    let mut roots = config.notifications.trusted_roots.clone();
    roots.push(ca.certificate());
    let policy = uci::settings(config).events_url;
    let rule: AddressRule = Arc::new(move |address| policy.judge_address(address).is_ok());
    let tls = client_config(&roots)?;
    Ok(Outbound::new(tls, Schemes::HttpsOnly, rule, timeout))
}
