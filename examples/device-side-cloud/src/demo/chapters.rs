//! The steps of the story, in order.

mod devices;
mod faults;
mod fresh;
mod linked;
mod partings;
mod staying;
mod watched;

use crate::error::Error;

use super::linking::{Client, Tokens};
use super::story::Story;

/// What one step hands on to the next.
#[derive(Debug, Default)]
pub(crate) struct Cast {
    product_key: String,
    password: String,
    /// The account ids of Alice and Bob, whom the enrollments name.
    alice: String,
    bob: String,
    /// The client-side cloud's registration.
    cloud_client: Option<Client>,
    /// The story's own client, and Alice's links to it: one for reading only, one for writing as well.
    own_client: Option<Client>,
    reader: Option<Tokens>,
    writer: Option<Tokens>,
    /// The subscription ids at the three levels: devices, device, resource.
    subscriptions: Vec<String>,
}

impl Cast {
    fn cloud_client(&self) -> Result<&Client, Error> {
        there(
            &self.cloud_client,
            "the client-side cloud is not registered",
        )
    }

    fn own_client(&self) -> Result<&Client, Error> {
        there(&self.own_client, "the story's client is not registered")
    }

    fn reader(&self) -> Result<&Tokens, Error> {
        there(&self.reader, "nobody can read")
    }

    fn writer(&self) -> Result<&Tokens, Error> {
        there(&self.writer, "nobody can write")
    }
}

fn there<'a, T>(one: &'a Option<T>, otherwise: &str) -> Result<&'a T, Error> {
    one.as_ref().ok_or_else(|| Error::plain(otherwise))
}

/// The thermostat's serial number, which is its device key.
const THERMOSTAT_KEY: &str = "867530900000001";
/// The lamp's.
const LAMP_KEY: &str = "867530900000002";
/// The id of the lamp, which is Bob's.
const LAMP_ID: &str = "0f0a3f0e-6d55-4a2b-9f0a-3d8b1c5e7a21";
/// The id of the thermostat, which is Alice's.
const DEVICE_ID: &str = "5f3c2d6e-8a41-4a43-9d8e-0c1f6a7b2e10";
/// The lifetime that the device asks for, in seconds: the shortest there is.
const LIFETIME: u64 = 30;
const CBOR: &str = "application/vnd.ocf+cbor";
const JSON: &str = "application/json";
const ALICE: &str = "alice";
const BOB: &str = "bob";
const THERMOSTAT: &str = "/thermostat/temperature";
const LIGHT: &str = "/light/1";

pub(crate) use staying::stay;

/// Tells the whole story, and gives back who was in it.
///
/// # Errors
/// The first step that did not see what it should.
pub(crate) async fn tell(story: &mut Story) -> Result<Cast, Error> {
    let mut cast = Cast::default();
    devices::the_cloud_starts(story).await?;
    devices::an_operator_makes_everything(story, &mut cast).await?;
    fresh::an_operator_says_where_devices_belong(story, &cast).await?;
    fresh::a_thermostat_bootstraps_over_mqtt(story, &cast).await?;
    fresh::a_lamp_bootstraps_over_lwm2m(story, &cast).await?;
    devices::the_device_publishes(story).await?;
    linked::an_account_is_linked(story, &mut cast).await?;
    linked::the_client_discovers(story).await?;
    linked::the_client_controls(story, &mut cast).await?;
    watched::the_client_subscribes(story, &mut cast).await?;
    faults::the_client_is_away(story, &cast).await?;
    faults::the_cloud_is_killed(story, &cast).await?;
    partings::another_user_sees_nothing(story, &cast).await?;
    partings::everything_ends(story, &cast).await?;
    Ok(cast)
}
