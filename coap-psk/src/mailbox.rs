//! The command that waits for an EnOS device: option 2100 in the responses to it.
//!
//! A device in DTLS mode cannot be asked before it speaks. What it speaks is answered with the path of the command that
//! waits for it; it then asks for that path, and the answer to that names the next one, if there is one.

use alloc::format;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::error::{Error, ErrorKind};
use crate::identity::DeviceName;
use crate::message::Method;
use crate::option::{CoapOption, ENOS_MAILBOX};
use crate::request::{MAX_OPTION_LEN, Request};

/// The first segment of every path of EnOS access; the MQTT topic follows.
const ROOT: &str = "topic";

/// Whether the request is one of EnOS access, whose errors have no payload.
pub(crate) fn is_topic(request: &Request) -> bool {
    request.path.first().is_some_and(|segment| segment == ROOT)
}

/// The value of the option that names `command` to `device`: its path, as it is asked for.
pub(crate) fn value_for(device: &DeviceName, command: &str) -> Result<Bytes, Error> {
    let request = Request::new(Method::Get, command)?;
    let names_device = command.contains(&format!(
        "/{}/{}/",
        device.product_key(),
        device.device_key()
    ));
    let fits = command.len() <= MAX_OPTION_LEN;
    if fits && is_topic(&request) && request.query.is_empty() && names_device {
        Ok(command.as_bytes().to_vec().into())
    } else {
        Err(ErrorKind::Path.into())
    }
}

/// Adds the command that waits to the options of a response; one that the application names itself stays.
pub(crate) fn announce(options: &mut Vec<CoapOption>, command: &Bytes) {
    if options.iter().all(|option| option.number != ENOS_MAILBOX) {
        options.push(CoapOption::new(ENOS_MAILBOX, command.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_topic_of_the_device_can_wait_for_it() {
        let device = DeviceName::new("MuGsF6W4".parse().unwrap(), "15bBZlRknc".parse().unwrap());
        let good = "/topic/sys/MuGsF6W4/15bBZlRknc/thing/service/measurepoint/set";
        assert_eq!(value_for(&device, good).unwrap(), good.as_bytes());
        let long = format!("{good}{}", "/x".repeat(500));
        for bad in [
            "",
            "topic/sys/MuGsF6W4/15bBZlRknc/thing/service/x",
            "/sys/MuGsF6W4/15bBZlRknc/thing/service/x",
            "/topics/MuGsF6W4/15bBZlRknc/thing/service/x",
            "/topic/sys/MuGsF6W4/another/thing/service/x",
            "/topic/sys/MuGsF6W4/15bBZlRknc",
            "/topic/sys/MuGsF6W4/15bBZlRknc/thing?x",
            "/topic/sys/MuGsF6W4/15bBZlRknc/../x",
            &long,
        ] {
            let refused = value_for(&device, bad).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Path, "{bad}");
        }
    }
}
