//! What is served, and what is not.

use http::header::{CACHE_CONTROL, LOCATION, REFERRER_POLICY};
use tower_service::Service as _;

use super::*;
use crate::accounts::Shared;
use crate::linking;
use crate::notifications::Notifications;
use crate::sender::Sender;
use crate::store::{Keys, Store, keyring};

mod receiver;

/// What accounts need, without an account.
fn shared(folder: &std::path::Path) -> Shared {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let (store, sender) = (Store::open(&folder.join("data")).unwrap(), Sender::new(tls));
    let (store, keys) = (
        Arc::new(store),
        Keys(keyring(&folder.join("keys")).unwrap()),
    );
    let linking = linking::start(Vec::new(), &store, keys.clone(), sender.clone());
    Shared {
        linking: linking.unwrap().0,
        notifications: Notifications::open(&folder.join("data")).unwrap(),
        store,
        keys,
        sender,
        api: http::Uri::from_static("https://cloud.example/api/v1"),
        origin: "https://client.example".to_owned(),
    }
}

#[tokio::test]
async fn devices_of_another_cloud_are_not_served_on() {
    let folder = std::env::temp_dir().join(format!("no-interface-{}", std::process::id()));
    let public = Public {
        accounts: Arc::new(Accounts::new(Arc::new(shared(&folder)))),
        sessions: Sessions::default(),
        origin: "https://client.example".to_owned(),
    };
    let mut router = router(Arc::new(public));
    let device = "53080a4f-5e3e-4291-802f-3436238232d2";
    for root in ["", "/api/v1"] {
        for path in [
            "/devices".to_owned(),
            "/devices/subscriptions".to_owned(),
            format!("/devices/subscriptions/{device}"),
            format!("/devices/{device}"),
            format!("/devices/{device}/subscriptions"),
            format!("/devices/{device}/light/1"),
            format!("/devices/{device}/light/1/subscriptions"),
        ] {
            for method in ["GET", "POST", "DELETE"] {
                let request = Request::builder()
                    .method(method)
                    .uri(format!("{root}{path}"))
                    .body(axum::body::Body::empty())
                    .unwrap();
                let response = router.call(request).await.unwrap();
                assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
            }
        }
    }
}

#[test]
fn after_the_callback_the_browser_is_on_a_page_without_code_and_state() {
    for page in ["/linked", "/not-linked"] {
        let response = send_on(page);
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        assert_eq!(response.headers()[LOCATION], page);
        assert_eq!(response.headers()[REFERRER_POLICY], "no-referrer");
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
    }
}
