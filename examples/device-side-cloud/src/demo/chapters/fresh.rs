//! Steps 3 to 5: devices leave their factory, and are told where they belong.

use std::ffi::OsString;
use std::path::Path;

use provisioning_proto::RegistrationId;
use provisioning_proto::mqtt::{Derivation, GroupSecret};
use serde_json::{Value, json};
use tokio::process::Command;

use super::devices::event;
use super::{ALICE, BOB, Cast, DEVICE_ID, LAMP_ID, LAMP_KEY, LIFETIME, THERMOSTAT_KEY};
use crate::certificates::write_private;
use crate::clock;
use crate::demo::process::Process;
use crate::demo::story::{Story, sibling};
use crate::error::Error;
use crate::users::hex;

/// The operator's tenant in the provisioning service.
const TENANT: &str = "acme";
/// What the devices of the group call themselves with; it is no secret.
const SCOPE: &str = "ff5bbx7a488f";
/// The lamp's identity at the bootstrap server.
const LAMP_IDENTITY: &str = "factory,867530900000002,2,300";

pub(super) async fn an_operator_says_where_devices_belong(
    story: &mut Story,
    cast: &Cast,
) -> Result<(), Error> {
    let tenant = ["provisioning", "tenant", TENANT, "Acme"];
    story.admin(&tenant, "").await?;
    let here = format!("127.0.0.1:{}", story.ports.coaps);
    let point = json!({
        "name": "This cloud",
        "local": true,
        "endpoints": {"mqtt": here, "lwm2m": format!("coaps://{here}")},
        "applications": [cast.product_key],
        "default_application": cast.product_key,
    });
    provisioning(story, "change", "access-points/here", &point).await?;

    let config = json!({"product_key": cast.product_key, "interval": 60}).to_string();
    let group = json!({
        "registration_group_name": "thermostats",
        "scope_id": SCOPE,
        "id_rule": {"allowed": [THERMOSTAT_KEY]},
        "access_point_id": "here",
        "owner": cast.alice,
        "provision_info": {"reprovisioning": "never", "init_config": config},
    });
    let made = provisioning(story, "create", "registration-groups", &group).await?;
    let secret = text(&made, "register_group_secret");
    story.secrets.add("the group's secret", secret);
    // What follows from it for one device is all that this device leaves its factory with.
    let unusable = |cause| Error::new("the group's secret is of no use", cause);
    let secret = GroupSecret::from_base64(secret).map_err(unusable)?;
    let id: RegistrationId = THERMOSTAT_KEY
        .parse()
        .map_err(|cause| Error::new("the thermostat's serial number is no id", cause))?;
    let derived = Derivation::default().derive(&secret, &id);
    write_private(&story.dir.join("thermostat.factory"), derived.expose())?;
    let derived = String::from_utf8_lossy(derived.expose()).into_owned();
    story.secrets.add("the thermostat's first secret", &derived);

    let key = hex(&clock::entropy::<16>()?);
    story.secrets.add("the lamp's first key", &key);
    let lamp = json!({
        "device_id": LAMP_KEY,
        "auth_info": {"auth_type": "PSK", "secret": key, "identity": LAMP_IDENTITY},
        "access_point_id": "here",
        "owner": cast.bob,
        "provision_info": {"reprovisioning": "never"},
    });
    provisioning(story, "create", "devices", &lamp).await?;
    write_private(&story.dir.join("lamp.factory"), key.as_bytes())?;
    story.saw(
        "the operator says where factory-fresh devices belong",
        &format!(
            "to this cloud: a thermostat of a group with a shared secret, for {ALICE}, and a lamp that is enrolled with a key, \
             for {BOB}; no device was made"
        ),
    );
    Ok(())
}

/// A request of the interface for operators, as an admin command, and its answer.
async fn provisioning(story: &Story, verb: &str, path: &str, body: &Value) -> Result<Value, Error> {
    let body = body.to_string();
    let command = ["provisioning", verb, TENANT, path, &body];
    let printed = story.run_admin(&command, "").await?;
    serde_json::from_str(&printed)
        .map_err(|cause| Error::new(format!("`provisioning {verb}` printed no JSON"), cause))
}

pub(super) async fn a_thermostat_bootstraps_over_mqtt(
    story: &mut Story,
    cast: &Cast,
) -> Result<(), Error> {
    let wrong = story.dir.join("wrong.factory");
    write_private(&wrong, hex(&clock::entropy::<32>()?).as_bytes())?;
    let refused = thermostat(story, &wrong, "stranger")?;
    let refused = Command::new(sibling("device")?)
        .args(refused)
        .output()
        .await;
    let refused = refused.map_err(|cause| Error::new("cannot start the device", cause))?;
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    if refused.status.success() || !why.contains("CONNACK 4") {
        return Err(Error::plain(format!(
            "a device with a wrong secret was not refused: {why}"
        )));
    }
    expect_owner(story, ALICE, None).await?;

    let mut device = start_thermostat(story)?;
    let told = event(&mut device, "bootstrapped").await?;
    expect_place(story, cast, &told)?;
    expect_own_secret(&mut device).await?;
    story.device = Some(device);
    expect_owner(story, ALICE, Some(THERMOSTAT_KEY)).await?;
    let secret = kept(story, "device", "device_secret")?;
    story.secrets.add("the thermostat's secret", &secret);
    story.saw(
        "a factory-fresh thermostat bootstraps over MQTT",
        &format!(
            "CONNACK 4 with a wrong secret; with the right one it was told {}, a secret of its own and {}; online there with \
             SecureMode 2 as {},{THERMOSTAT_KEY}, and {ALICE} owns it",
            text(&told, "cloud"),
            text(&told, "initial_config"),
            cast.product_key
        ),
    );
    Ok(())
}

pub(super) async fn a_lamp_bootstraps_over_lwm2m(
    story: &mut Story,
    cast: &Cast,
) -> Result<(), Error> {
    expect_owner(story, BOB, None).await?;
    let mut lamp = start_lamp(story)?;
    let told = event(&mut lamp, "bootstrapped").await?;
    expect_place(story, cast, &told)?;
    expect_own_secret(&mut lamp).await?;
    event(&mut lamp, "published").await?;
    lamp.terminate().await?;
    let key = kept(story, "lamp", "key")?;
    story.secrets.add("the lamp's key", &key);
    // What it was told it keeps: it comes back without asking.
    let mut lamp = start_lamp(story)?;
    event(&mut lamp, "known").await?;
    expect_own_secret(&mut lamp).await?;
    story.lamp = Some(lamp);
    expect_owner(story, BOB, Some(LAMP_KEY)).await?;
    story.saw(
        "a factory-fresh lamp bootstraps over LwM2M",
        &format!(
            "over DTLS as {LAMP_IDENTITY} it was written an account at coaps://{} with identity and key; online there with \
             SecureMode 2, and again after a restart without asking; {BOB} owns it",
            text(&told, "cloud")
        ),
    );
    Ok(())
}

/// Starts the thermostat, with its state in the folder `device`.
pub(super) fn start_thermostat(story: &Story) -> Result<Process, Error> {
    let arguments = thermostat(story, &story.dir.join("thermostat.factory"), "device")?;
    let log = story.dir.join("device.log");
    Process::start("the thermostat", &sibling("device")?, &arguments, &log)
}

fn thermostat(story: &Story, secret: &Path, state: &str) -> Result<Vec<OsString>, Error> {
    let server = format!("mqtts://localhost:{}", story.ports.mqtt);
    let mut arguments = device(story, &server, secret, state, THERMOSTAT_KEY, DEVICE_ID);
    arguments.extend(["--bootstrap-scope".into(), SCOPE.into()]);
    arguments.extend(["--bootstrap-ca".into(), story.ca()?.certificate().into()]);
    arguments.extend(["--name".into(), "Hall thermostat".into()]);
    Ok(arguments)
}

/// Starts the lamp, with its state in the folder `lamp`.
fn start_lamp(story: &Story) -> Result<Process, Error> {
    let server = format!("coaps://127.0.0.1:{}", story.ports.lwm2m);
    let secret = story.dir.join("lamp.factory");
    let mut arguments = device(story, &server, &secret, "lamp", LAMP_KEY, LAMP_ID);
    arguments.extend(["--bootstrap-identity".into(), LAMP_IDENTITY.into()]);
    arguments.extend(["--name".into(), "Bob's lamp".into()]);
    let log = story.dir.join("lamp.log");
    Process::start("the lamp", &sibling("device")?, &arguments, &log)
}

fn device(
    story: &Story,
    server: &str,
    secret: &Path,
    state: &str,
    key: &str,
    id: &str,
) -> Vec<OsString> {
    vec![
        "--bootstrap".into(),
        server.into(),
        "--bootstrap-secret-file".into(),
        secret.into(),
        "--device-key".into(),
        key.into(),
        "--state".into(),
        story.dir.join(state).into(),
        "--lifetime".into(),
        LIFETIME.to_string().into(),
        "--di".into(),
        id.into(),
    ]
}

/// The device was told the address of this cloud and its product there.
fn expect_place(story: &Story, cast: &Cast, told: &Value) -> Result<(), Error> {
    let here = format!("127.0.0.1:{}", story.ports.coaps);
    if text(told, "cloud") != here || text(told, "product_key") != cast.product_key {
        return Err(Error::plain(format!("the device was told {told}")));
    }
    Ok(())
}

async fn expect_own_secret(device: &mut Process) -> Result<(), Error> {
    let online = event(device, "online").await?;
    if online.get("mode") != Some(&Value::from(2)) {
        return Err(Error::plain(format!(
            "the device is not online in SecureMode 2: {online}"
        )));
    }
    Ok(())
}

/// The devices of a user are this one, or none.
async fn expect_owner(story: &Story, user: &str, device: Option<&str>) -> Result<(), Error> {
    let listed = story
        .admin(&["device", "list", "--owner", user], "")
        .await?;
    let [.., last] = listed.as_slice() else {
        return match device {
            Some(device) => Err(Error::plain(format!("{user} does not own {device}"))),
            None => Ok(()),
        };
    };
    match device {
        Some(device) if listed.len() == 1 && last.1.contains(device) => Ok(()),
        _ => Err(Error::plain(format!("{user} owns {listed:?}"))),
    }
}

/// A secret that a device keeps of what it was told.
fn kept(story: &Story, state: &str, name: &str) -> Result<String, Error> {
    let path = story.dir.join(state).join("told.json");
    let failed = |cause| Error::new(format!("cannot read {}", path.display()), cause);
    let told = std::fs::read(&path).map_err(failed)?;
    let told: Value = serde_json::from_slice(&told)
        .map_err(|_| Error::plain(format!("{} is damaged", path.display())))?;
    let kept = told.get(name).and_then(Value::as_str);
    kept.map(str::to_owned)
        .ok_or_else(|| Error::plain(format!("{} has no {name}", path.display())))
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}
