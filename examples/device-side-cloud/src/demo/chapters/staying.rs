//! After the story: the cloud stays up for whoever wants to try it.

use super::devices::event;
use super::fresh::start_thermostat;
use super::{ALICE, Cast, DEVICE_ID, THERMOSTAT};
use crate::certificates::write_private;
use crate::demo::linking;
use crate::demo::story::Story;
use crate::error::Error;

/// Brings the device back, links once more, prints what can be tried, and waits for Ctrl-C.
///
/// # Errors
/// The device or the cloud did not do its part.
pub(crate) async fn stay(story: &mut Story, cast: &Cast) -> Result<(), Error> {
    if let Some(mut silent) = story.device.take() {
        silent.kill().await?;
    }
    let mut device = start_thermostat(story)?;
    // It was told where it belongs, and does not ask again.
    event(&mut device, "known").await?;
    event(&mut device, "published").await?;
    story.device = Some(device);
    let own = cast.own_client()?;
    let tokens = linking::link(story, own, ALICE, &cast.password, "r:* w:*").await?;
    let token = story.dir.join("token");
    write_private(&token, tokens.access.as_bytes())?;
    let (url, dir) = (story.cloud_url(), story.dir.display());
    story.say(&format!(
        r#"
The cloud, the device and the client-side cloud stay up until Ctrl-C. In another terminal:

  cloud() {{ curl --silent --show-error --fail-with-body --cacert {dir}/data/ca/ca.pem \
                 -H "Authorization: Bearer $(cat {dir}/token)" "$@"; }}
  cloud {url}/api/v1/devices
  cloud '{url}/api/v1/devices?content=all'
  cloud {url}/api/v1/devices/{DEVICE_ID}{THERMOSTAT}
  cloud -H 'Content-Type: application/json' -d '{{"targetTemperature":22.0}}' {url}/api/v1/devices/{DEVICE_ID}{THERMOSTAT}
  {program} user add carol --config {dir}/cloud.toml

The logs are in {dir}; the token is good for an hour."#,
        program = story.program()?.display(),
    ));
    tokio::signal::ctrl_c()
        .await
        .map_err(|cause| Error::new("cannot wait for Ctrl-C", cause))
}
