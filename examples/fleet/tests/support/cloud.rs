//! A cloud of a few lines: it knows one product, activates its devices and answers 2.04.

use coap_psk::activation::{self, ActivateInfo};
use coap_psk::credentials::{Credentials as _, InMemory};
use coap_psk::dtls::psk::{PskConfig, PskEndpoint};
use coap_psk::{
    Code, Config, DeviceName, DeviceSecret, Endpoint, Event, Instant, KeyBytes, Output, ProductKey,
    ProductSecret, Request, Response,
};
use device_fleet::{Member, Secret};

pub fn product() -> (ProductKey, ProductSecret) {
    let secret = ProductSecret::new("the-product's-secret").unwrap();
    ("product".parse().unwrap(), secret)
}

/// The devices of the product, each with its own secret.
pub fn members(count: usize) -> Vec<Member> {
    (0..count)
        .map(|number| {
            let device = format!("dev-{number:06}").parse().unwrap();
            Member::new(
                DeviceName::new(product().0, device),
                Secret::Device(secret_of(number)),
            )
        })
        .collect()
}

fn secret_of(number: usize) -> DeviceSecret {
    DeviceSecret::new(format!("the-device's-secret-{number:06}")).unwrap()
}

/// An endpoint that has not met anybody.
pub fn endpoint(seed: u8) -> Endpoint<PskEndpoint> {
    let dtls = PskEndpoint::new(PskConfig::default(), [seed; 32]);
    Endpoint::new(Config::default(), dtls, [seed; 32])
}

pub struct Cloud {
    pub answered: usize,
    pub online: usize,
    secrets: InMemory,
}

impl Cloud {
    /// A cloud that knows so many devices.
    pub fn new(devices: usize) -> Self {
        let (key, secret) = product();
        let mut secrets = InMemory::new(KeyBytes::default());
        secrets.add_product(key.clone(), secret);
        secrets.set_dynamic_activation(&key, true);
        for number in 0..devices {
            let device = format!("dev-{number:06}").parse().unwrap();
            secrets.add_device(DeviceName::new(key.clone(), device), secret_of(number));
        }
        Self {
            answered: 0,
            online: 0,
            secrets,
        }
    }

    /// Answers whatever needs an answer.
    pub fn take(&mut self, endpoint: &mut Endpoint<PskEndpoint>, output: Output, now: Instant) {
        match output {
            Output::KeyWanted {
                handshake,
                identity,
            } => {
                let key = self.secrets.key_of(&identity);
                endpoint.provide_key(handshake, key, now);
            }
            Output::Request {
                exchange, request, ..
            } => {
                let response = self.answer(&request);
                endpoint.respond(exchange, response, now).unwrap();
            }
            Output::Event(Event::Online { replaced: None, .. }) => self.online += 1,
            Output::Event(Event::Offline { .. }) => self.online -= 1,
            Output::Event(_) | Output::Transmit(_) => {}
        }
    }

    fn answer(&mut self, request: &Request) -> Response {
        let Some(device) = activation::device_of(request) else {
            self.answered += 1;
            return Response::new(Code::CHANGED);
        };
        let secret = self.secrets.secret_of(&device).unwrap().clone();
        let info = ActivateInfo::new("1".to_owned(), "asset".to_owned(), device, secret);
        Response::new(Code::CHANGED).with_payload(50, info.to_json().unwrap())
    }
}
