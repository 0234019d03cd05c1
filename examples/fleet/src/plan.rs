//! What the devices of a fleet do.

use std::time::Duration;

use coap_psk::{DeviceName, Lifetime, Request};

/// What the devices of a [`Fleet`](crate::Fleet) do.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Plan {
    /// How many devices come in a second; default 1,000. Zero lets all come at once.
    pub arrivals: u32,
    /// How many devices may be in a handshake, or wait for an answer, at one time; default 256.
    pub at_once: usize,
    /// How many requests each device sends; default 10. `None` is without end.
    pub requests: Option<u32>,
    /// How long a device waits between an answer and its next request; default 1 s.
    pub interval: Duration,
    /// What it sends. The path segments `{product}` and `{device}` become the keys of the device.
    pub request: Request,
    /// The lifetime that the devices announce; default one day, so that silence takes none offline.
    pub lifetime: Lifetime,
    /// How often a device tries to get a session until it gives up; default 3.
    pub attempts: u32,
    /// How long it waits before it tries again; default 5 s.
    pub pause: Duration,
}

impl Plan {
    /// The defaults, with this request.
    #[must_use]
    pub fn new(request: Request) -> Self {
        Self {
            arrivals: 1_000,
            at_once: 256,
            requests: Some(10),
            interval: Duration::from_secs(1),
            request,
            lifetime: Lifetime::MAX,
            attempts: 3,
            pause: Duration::from_secs(5),
        }
    }

    /// When the device of this number comes, counted from when the first one does.
    pub(crate) fn arrival(&self, number: usize) -> Duration {
        let number = u64::try_from(number).unwrap_or(u64::MAX);
        let micros = number
            .saturating_mul(1_000_000)
            .checked_div(self.arrivals.into());
        Duration::from_micros(micros.unwrap_or(0))
    }

    /// The request as this device sends it.
    pub(crate) fn request_of(&self, name: &DeviceName) -> Request {
        let mut request = self.request.clone();
        for segment in &mut request.path {
            match segment.as_str() {
                "{product}" => *segment = name.product_key().to_string(),
                "{device}" => *segment = name.device_key().to_string(),
                _ => {}
            }
        }
        request
    }
}

#[cfg(test)]
mod tests {
    use coap_psk::Method;

    use super::*;

    #[test]
    fn a_path_names_the_device_where_it_says_so() {
        let plan = Plan::new(Request::new(Method::Post, "/topic/{product}/{device}/up").unwrap());
        let name = DeviceName::new("pk".parse().unwrap(), "dev1".parse().unwrap());
        assert_eq!(plan.request_of(&name).target(), "/topic/pk/dev1/up");
    }

    #[test]
    fn devices_come_evenly_or_all_at_once() {
        let mut plan = Plan::new(Request::new(Method::Get, "/").unwrap());
        assert_eq!(plan.arrival(2_500), Duration::from_millis(2_500));
        plan.arrivals = 0;
        assert_eq!(plan.arrival(2_500), Duration::ZERO);
    }
}
