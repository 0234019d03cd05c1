//! A request of each programme's shape, with the registration that its preset makes.

use account_linking::server::presets::Programme;
use base64::Engine as _;
use http::Response;

use crate::harness::*;

/// How a programme asks.
struct Shape {
    programme: Programme,
    own: &'static str,
    /// Parameters of its authorization request beyond those of RFC 6749.
    extra: &'static [(&'static str, &'static str)],
    /// Basic, or in the body.
    basic: bool,
    pkce: bool,
}

const SHAPES: [Shape; 7] = [
    Shape {
        programme: Programme::AwsManagedIntegrations,
        own: "https://aws.example/callback",
        extra: &[],
        basic: true,
        pkce: false,
    },
    Shape {
        programme: Programme::AwsManagedIntegrations,
        own: "https://aws.example/callback",
        extra: &[],
        basic: false,
        pkce: true,
    },
    Shape {
        programme: Programme::Alexa,
        own: "M2AAAAAAAAAAAA",
        extra: &[],
        basic: true,
        pkce: false,
    },
    Shape {
        programme: Programme::Alexa,
        own: "M2AAAAAAAAAAAA",
        extra: &[],
        basic: false,
        pkce: true,
    },
    Shape {
        programme: Programme::GoogleHome,
        own: "project-1",
        extra: &[("user_locale", "en-GB"), ("login_hint", "someone")],
        basic: false,
        pkce: false,
    },
    Shape {
        programme: Programme::SmartThings,
        own: "",
        extra: &[],
        basic: true,
        pkce: false,
    },
    Shape {
        programme: Programme::Uci,
        own: "https://client.example/callback",
        extra: &[],
        basic: true,
        pkce: true,
    },
];

struct Client<'a> {
    shape: &'a Shape,
    secret: String,
}

impl Client<'_> {
    fn ask(&self, world: &mut World, pairs: &[(&str, &str)]) -> Response<bytes::Bytes> {
        let mut pairs = pairs.to_vec();
        let basic = format!("client-a:{}", self.secret);
        let basic = base64::engine::general_purpose::STANDARD.encode(basic);
        let basic = format!("Basic {basic}");
        let mut headers = Vec::new();
        if self.shape.basic {
            headers.push(("authorization", basic.as_str()));
        } else {
            pairs.extend([("client_id", "client-a"), ("client_secret", &self.secret)]);
        }
        world.post("/oauth/token", &headers, form(&pairs))
    }
}

#[test]
fn a_client_of_every_programme_links_at_each_of_its_redirect_uris() {
    for shape in &SHAPES {
        let (id, scopes) = ("client-a".parse().unwrap(), "r:* w:*".parse().unwrap());
        let registration = shape.programme.registration(id, shape.own, scopes);
        let registration = registration.unwrap();
        let mut config = config();
        config.request_timeout = std::time::Duration::from_secs(2);
        assert_eq!(shape.programme.check(&config, &registration), Ok(()));
        let mut world = World::new(config);
        let uris = registration.redirect_uris.clone();
        let secret = world.register(registration).unwrap();
        let client = Client { shape, secret };
        for uri in &uris {
            link_at(&mut world, &client, uri.as_str());
        }
    }
}

fn link_at(world: &mut World, client: &Client<'_>, uri: &str) {
    let shape = client.shape;
    let mut extra = vec![("redirect_uri", uri), ("scope", "r:* w:*")];
    extra.extend(shape.extra);
    if !shape.pkce {
        extra.extend([("code_challenge", ""), ("code_challenge_method", "")]);
    }
    let mut browser = Browser::default();
    let page = browser.open(world, &authorize_path("client-a", &extra));
    let page = browser.log_in(world, &page, "user-1");
    // Whoever linked before presses the button all the same.
    let html = String::from_utf8_lossy(page.body()).into_owned();
    let name = shape.programme.name().unwrap_or("client-a");
    assert!(html.contains(name) && html.contains("value=\"allow\""));
    let answer = browser.submit(world, &page, "/oauth/consent", &[("decision", "allow")]);
    let location = answer.headers()["location"].to_str().unwrap();
    assert!(location.starts_with(&format!("{uri}?")), "{location}");
    assert_eq!(parameter(&answer, "state").as_deref(), Some("st&te 1"));
    let code = parameter(&answer, "code").unwrap();

    let verifier = verifier();
    let mut pairs = vec![
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", uri),
    ];
    if shape.pkce {
        pairs.push(("code_verifier", verifier.expose()));
    }
    let answer = client.ask(world, &pairs);
    let expires_in = json(&answer)["expires_in"].as_u64().unwrap();
    assert!(expires_in >= shape.programme.needs().access_token_lifetime.as_secs());
    let first = tokens(&answer);
    assert_eq!(claims(&first.access)["sub"], "user-1");

    // Several refreshes at once, as for several commands at once: all of them are answered, and the token stays.
    let held = first.refresh.unwrap();
    let pairs = [("grant_type", "refresh_token"), ("refresh_token", &held)];
    for _ in 0..3 {
        let next = tokens(&client.ask(world, &pairs));
        assert!(next.refresh.is_none_or(|next| next == held));
        assert!(world.check(&next.access).is_ok());
    }
    // A refusal is exactly this.
    let wrong = [
        ("grant_type", "refresh_token"),
        ("refresh_token", "nothing"),
    ];
    let refused = client.ask(world, &wrong);
    assert_eq!(refused.status(), 400);
    assert_eq!(error(&refused), "invalid_grant");
}
