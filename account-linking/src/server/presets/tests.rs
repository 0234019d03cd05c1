use super::*;
use crate::secret::SecretBytes;
use crate::server::access_token::Algorithm;
use crate::server::config::{Issuer, RefreshKey, SigningKey};

fn config() -> Config {
    let signing = SigningKey::new("1", Algorithm::Es256, r#"{"kty":"EC","x":"a","y":"b"}"#);
    let issuer = Issuer::new("https://cloud.example/oauth").unwrap();
    let refresh = RefreshKey::new(1, SecretBytes::new([1; 32]));
    Config::new(
        issuer,
        "https://cloud.example/api",
        signing.unwrap(),
        refresh,
    )
    .unwrap()
}

fn own(programme: Programme) -> &'static str {
    match programme {
        Programme::AwsManagedIntegrations | Programme::Uci => "https://client.example/callback",
        Programme::Alexa => "M2AAAAAAAAAAAA",
        Programme::GoogleHome => "project-1",
        Programme::SmartThings => "",
    }
}

fn registration(programme: Programme) -> Registration {
    let (id, scopes) = ("client-a".parse().unwrap(), "r:* w:*".parse().unwrap());
    programme.registration(id, own(programme), scopes).unwrap()
}

#[test]
fn every_programme_has_a_confidential_client_with_refresh_tokens_that_stay() {
    for programme in Programme::ALL {
        let one = registration(programme);
        assert!(!one.is_public() && one.refresh_tokens, "{programme:?}");
        assert_eq!(one.authentication.len(), 2);
        assert_eq!((one.rotation_window, one.replay_ends_grant), (None, false));
        assert_eq!(one.pkce_required, programme == Programme::Uci);
        assert_eq!(programme.check(&config(), &one), Ok(()), "{programme:?}");
    }
}

#[test]
fn redirect_uris_are_those_of_the_programme_with_what_is_the_client_s_own() {
    let uris = |programme| -> Vec<String> {
        let uris = registration(programme).redirect_uris;
        uris.iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        uris(Programme::GoogleHome),
        [
            "https://oauth-redirect.googleusercontent.com/r/project-1",
            "https://oauth-redirect-sandbox.googleusercontent.com/r/project-1",
        ]
    );
    assert_eq!(uris(Programme::Alexa).len(), 3);
    assert!(
        uris(Programme::Alexa)
            .iter()
            .all(|uri| uri.ends_with("/M2AAAAAAAAAAAA"))
    );
    assert_eq!(
        uris(Programme::SmartThings),
        Programme::SmartThings.redirect_uris()
    );
    assert_eq!(uris(Programme::Uci), [own(Programme::Uci)]);
    for (programme, own) in [
        (Programme::SmartThings, "x"),
        (Programme::Alexa, ""),
        (Programme::Alexa, "../../elsewhere"),
        (Programme::GoogleHome, "a/b"),
        (Programme::GoogleHome, "a?b"),
        (Programme::Uci, ""),
        (Programme::Uci, "http://client.example/callback"),
        (Programme::AwsManagedIntegrations, "callback"),
    ] {
        let (id, scopes) = ("client-a".parse().unwrap(), "r:*".parse().unwrap());
        assert!(programme.registration(id, own, scopes).is_err(), "{own}");
    }
}

#[test]
fn what_a_programme_cannot_work_with_is_said() {
    use Programme::{Alexa, AwsManagedIntegrations, GoogleHome};
    let scopes: Vec<String> = (0..16).map(|n| format!("scope{n}")).collect();
    type Spoil = Box<dyn Fn(&mut Config, &mut Registration)>;
    let cases: [(Programme, Spoil, Unmet); 7] = [
        (
            Alexa,
            Box::new(|config, _| config.access_token_lifetime = Duration::from_secs(359)),
            Unmet::AccessTokenLifetime,
        ),
        (
            GoogleHome,
            Box::new(|config, _| config.refresh_idle_lifetime = MONTH),
            Unmet::RefreshLifetime,
        ),
        (
            GoogleHome,
            Box::new(|config, _| config.refresh_absolute_lifetime = Some(MONTH)),
            Unmet::RefreshLifetime,
        ),
        (
            AwsManagedIntegrations,
            Box::new(|config, _| config.client_request_timeout = Duration::from_secs(3)),
            Unmet::ClientRequestTimeout,
        ),
        (
            Alexa,
            Box::new(move |_, client| client.scopes = scopes.join(" ").parse().unwrap()),
            Unmet::Scopes,
        ),
        (
            GoogleHome,
            Box::new(|_, client| client.refresh_tokens = false),
            Unmet::RefreshTokens,
        ),
        (
            AwsManagedIntegrations,
            Box::new(|_, client| {
                let long = format!("https://client.example/{}", "p".repeat(700));
                client.redirect_uris.push(long.parse().unwrap());
            }),
            Unmet::AuthorizationUrl,
        ),
    ];
    for (programme, spoil, unmet) in cases {
        let (mut config, mut client) = (config(), registration(programme));
        spoil(&mut config, &mut client);
        assert_eq!(programme.check(&config, &client), Err(unmet));
        assert!(!unmet.to_string().is_empty());
    }
}
