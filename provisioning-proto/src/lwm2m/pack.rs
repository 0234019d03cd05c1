//! The Bootstrap-Pack: everything in one payload. (LwM2M 1.2 Core, 6.1.7.7)

use super::check::Configuration;
use super::plan::{Placed, Plan, PlanError, Step};
use super::{ContentFormat, Discovery, Instance, Opaque, senml_cbor, senml_json};

/// Writes the accounts as a pack, and says where they are in it. Nothing is asked before, so that ids are those of a client that has
/// nothing but its bootstrap account at `/0/0`; it deletes its other accounts itself.
///
/// # Errors
/// [`PlanError`]; `None` instead of a payload in a format that has no paths.
pub fn pack(
    configuration: &Configuration,
    format: ContentFormat,
) -> Result<(Option<Opaque>, Vec<Placed>), PlanError> {
    let plan = Plan::new(configuration, &Discovery::default())?;
    let written = plan.steps.into_iter().filter_map(|step| match step {
        Step::Write(object, instance) => Some((object, instance)),
        // Nothing is known that could be deleted.
        Step::Delete(_) => None,
    });
    let written: Vec<(u16, Instance)> = written.collect();
    let payload = match format {
        ContentFormat::SenmlCbor => Some(senml_cbor::encode(&written)),
        ContentFormat::SenmlJson => senml_json::encode(&written).ok(),
        ContentFormat::Tlv | ContentFormat::TlvUnregistered => None,
    };
    Ok((payload, plan.placed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lwm2m::objects::{SECURITY, SERVER, Security, Server};
    use crate::lwm2m::{Account, senml_cbor};

    #[test]
    fn a_pack_has_the_accounts_at_absolute_paths_and_nothing_at_0_0() {
        let key = Opaque::new(vec![7; 16]);
        let security = Security::psk("coaps://h:5684", 101, b"id", key);
        let configuration =
            Configuration::new(vec![Account::new(security.clone(), Server::new(101, 60))]);
        let (payload, placed) = pack(&configuration, ContentFormat::SenmlCbor).unwrap();
        let read = senml_cbor::decode(payload.unwrap().expose()).unwrap();
        assert_eq!(
            read,
            [
                (SECURITY, security.to_instance(1)),
                (SERVER, Server::new(101, 60).to_instance(1))
            ]
        );
        assert_eq!((placed[0].security, placed[0].server), (1, 1));
        let (json, _) = pack(&configuration, ContentFormat::SenmlJson).unwrap();
        assert_eq!(senml_json::decode(json.unwrap().expose()).unwrap(), read);
        assert_eq!(pack(&configuration, ContentFormat::Tlv).unwrap().0, None);
    }
}
