//! The running cloud: everything opened, wired together, and ended in good order.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use account_linking::server::Refusal;
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tracing::{error, info};
use uci_server_core::driver::{self, Handle as Cloud};
use uci_server_core::{Authentication, Principal};

use crate::admin;
use crate::certificates::{DevelopmentCa, client_config, server_config};
use crate::config::Config;
use crate::error::Error;
use crate::gateway::{self, Gateway};
use crate::https::{self, Limits};
use crate::linking::{self, Linking};
use crate::outbound::{AddressRule, Outbound, Schemes};
use crate::products::Products;
use crate::store::Store;
use crate::uci;
use crate::users::Users;

/// How many commands may wait for a task of the cloud.
const QUEUE: usize = 4096;

/// Runs the cloud until it is told to stop.
///
/// # Errors
/// Something cannot be opened or listened on; nothing was begun then.
pub(crate) async fn run(path: &Path) -> Result<(), Error> {
    let config = Config::read(path)?;
    let store = Store::open(&config.data_dir, &config.key_dir)?;
    let ca = DevelopmentCa::open(&config.data_dir)?;
    let tls = match (&config.https.certificate, &config.https.private_key) {
        (Some(certificate), Some(key)) => server_config(certificate, key)?,
        _ => {
            let (certificate, key) = ca.issue("server", &["localhost", "127.0.0.1"])?;
            server_config(&certificate, &key)?
        }
    };
    let https = TcpListener::bind(config.https.listen)
        .await
        .map_err(|cause| {
            Error::new(
                format!(
                    "cannot listen on tcp {} (https.listen in the configuration)",
                    config.https.listen
                ),
                cause,
            )
        })?;
    let coaps = gateway::bind(&config.coaps).await?;
    let operators = admin::listen(&config.data_dir)?;
    let users = Users::load(&store).await?;
    let products = Products::load(&store).await?;

    let (cloud, cloud_commands) = driver::handle(QUEUE);
    let (linking, linking_machine) =
        linking::prepare(&config, store.clone(), users.clone(), cloud.clone())?;
    let (calls, endpoint_calls) = coap_psk::driver::handle(QUEUE);
    let (ask, asked) = mpsc::channel(QUEUE);
    let (outputs, device_outputs) = gateway::outputs();
    let outbound = outbound(&config, &ca)?;

    let (stop, stopping) = watch::channel(false);
    let mut tasks = tokio::task::JoinSet::new();
    let settings = uci::settings(&config);
    tasks.spawn(uci::drive(
        settings,
        cloud_commands,
        store.clone(),
        outbound,
        ask,
    ));
    tasks.spawn(linking_machine.run());
    tasks.spawn(gateway::drive(
        coaps,
        config.coaps.clone(),
        endpoint_calls,
        outputs,
    ));
    let gateway = Gateway::new(products.clone(), cloud.clone(), calls);
    tasks.spawn(async move {
        gateway.run(device_outputs, asked).await;
        Ok(())
    });
    let operator = Operator {
        users,
        products,
        linking: linking.clone(),
    };
    tokio::spawn(admin::serve(operators, move |request| {
        let operator = operator.clone();
        async move { operator.carry_out(request).await }
    }));
    uci::wake_all(&store, &cloud).await?;

    let limits = Limits {
        max_body_bytes: config.https.max_body_bytes,
        max_connections: config.https.max_connections,
    };
    let doors = Doors { cloud, linking };
    let serving = tokio::spawn(https::serve(
        https,
        tls,
        limits,
        move |request| {
            let doors = doors.clone();
            async move { doors.answer(request).await }
        },
        stopping,
    ));
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
    stop.send_replace(true);
    if let Err(cause) = serving.await {
        error!(%cause, "the HTTPS listener broke");
    }
    // What is durable is in the journal; the rest was promised to nobody.
    tasks.shutdown().await;
    drop(std::fs::remove_file(admin::socket(&config.data_dir)));
    drop(store);
    info!("stopped");
    result
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

fn outbound(config: &Config, ca: &DevelopmentCa) -> Result<Outbound, Error> {
    let mut roots = config.notifications.trusted_roots.clone();
    roots.push(ca.certificate());
    let policy = uci::settings(config).events_url;
    let rule: AddressRule = Arc::new(move |address| policy.judge_address(address).is_ok());
    let timeout = Duration::from_secs(config.notifications.timeout_seconds);
    let tls = client_config(&roots)?;
    Ok(Outbound::new(tls, Schemes::HttpsOnly, rule, timeout))
}

async fn told_to_stop() {
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = terminated => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// What comes in over HTTPS goes to the interface or to account linking.
#[derive(Clone, Debug)]
struct Doors {
    cloud: Cloud,
    linking: Linking,
}

impl Doors {
    async fn answer(&self, request: Request<Bytes>) -> Response<Bytes> {
        let path = request.uri().path();
        if path == "/" {
            return https::refusal(StatusCode::OK, "device-side-cloud\n");
        }
        if path != "/api/v1" && !path.starts_with("/api/v1/") {
            return self.linking.answer(request).await;
        }
        let authentication = match self.linking.authenticate(&request).await {
            Ok(principal) => match granted(&principal) {
                Some(principal) => Authentication::Granted(principal),
                None => Authentication::Invalid,
            },
            Err(Refusal::Missing) => Authentication::Missing,
            Err(refusal @ (Refusal::Malformed | Refusal::Unavailable)) => return refuse(refusal),
            Err(_) => Authentication::Invalid,
        };
        let mut request = request;
        request.extensions_mut().insert(authentication);
        self.cloud.answer(request).await
    }
}

/// A token's bearer as the core names it.
fn granted(principal: &account_linking::server::Principal) -> Option<Principal> {
    let expires = std::time::SystemTime::UNIX_EPOCH.checked_add(principal.expires)?;
    Some(Principal::new(
        principal.account.as_str().parse().ok()?,
        principal.client.as_str().parse().ok()?,
        principal.grant.to_string().parse().ok()?,
        &principal.scopes.to_string(),
        expires,
    ))
}

fn refuse(refusal: Refusal) -> Response<Bytes> {
    let mut response = https::refusal(refusal.status(), "the access token was not checked");
    if let Some(challenge) = refusal.challenge() {
        response.headers_mut().insert(
            header::WWW_AUTHENTICATE,
            header::HeaderValue::from_static(challenge),
        );
    }
    if refusal == Refusal::Unavailable {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
    }
    response
}

/// Carries out what operators ask for.
#[derive(Clone, Debug)]
struct Operator {
    users: Users,
    products: Products,
    linking: Linking,
}

impl Operator {
    async fn carry_out(&self, request: admin::New) -> Result<Value, Error> {
        match request {
            admin::New::Product {
                name,
                dynamic_activation,
            } => {
                let made = self.products.add_product(&name, dynamic_activation).await?;
                Ok(json!({"product_key": made.key, "product_secret": made.secret}))
            }
            admin::New::Device {
                product,
                owner,
                device_key,
            } => {
                let owner_id = self
                    .users
                    .id_of(&owner)
                    .await
                    .ok_or_else(|| Error::plain(format!("there is no user {owner}")))?;
                let made = self
                    .products
                    .add_device(&product, device_key, &owner_id)
                    .await?;
                Ok(json!({"device_key": made.key, "device_secret": made.secret, "owner": owner}))
            }
            admin::New::User { name, password } => {
                let id = self.users.add(&name, password.expose()).await?;
                Ok(json!({"user": name, "id": id}))
            }
            admin::New::Client {
                name,
                redirect_uris,
                public,
            } => {
                let made = self.linking.register(name, redirect_uris, public).await?;
                let mut answer = json!({"client_id": made.client});
                if let (Some(secret), Some(answer)) = (made.secret, answer.as_object_mut()) {
                    answer.insert("client_secret".to_owned(), secret.into());
                }
                Ok(answer)
            }
        }
    }
}
