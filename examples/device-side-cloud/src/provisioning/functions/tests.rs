//! Functions on a real HTTPS listener.

use std::net::IpAddr;

use http::Response;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::*;
use crate::certificates::{DevelopmentCa, client_config, server_config};
use crate::https::{self, Limits, Transport};
use crate::outbound::Schemes;

const ALLOW: &str = r#"{"statusCode":200,"body":"{\"status\":\"allow\",\"context\":{\"allocationResult\":\"east\"}}"}"#;

/// A server whose answers depend on the path, and what was asked there last.
struct Server {
    port: u16,
    asked: watch::Receiver<(String, Bytes)>,
    _stop: watch::Sender<bool>,
    ca: DevelopmentCa,
    folder: std::path::PathBuf,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

async fn serve(name: &str) -> Server {
    let folder = std::env::temp_dir().join(format!("functions-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("folder");
    let ca = DevelopmentCa::open(&folder).expect("authority");
    let (certificate, key) = ca.issue("server", &["localhost"]).expect("certificate");
    let (_settings, tls) = watch::channel(server_config(&certificate, &key).expect("settings"));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("listener");
    let port = listener.local_addr().expect("address").port();
    let (tell, asked) = watch::channel(Default::default());
    let (stop, stopping) = watch::channel(false);
    let limits = Limits {
        max_body_bytes: 64 << 10,
        max_connections: 8,
    };
    let tell = Arc::new(tell);
    let handler = move |request: Request<Bytes>| {
        let tell = Arc::clone(&tell);
        async move {
            let path = request.uri().path().to_owned();
            let kind = request.headers().get(header::CONTENT_TYPE).cloned();
            assert_eq!(kind, Some(HeaderValue::from_static("application/json")));
            tell.send_replace((path.clone(), request.into_body()));
            let mut response = Response::new(Bytes::from_static(ALLOW.as_bytes()));
            match path.as_str() {
                "/moved" => {
                    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
                    let there = HeaderValue::from_static("/allocate");
                    response.headers_mut().insert(header::LOCATION, there);
                }
                "/broken" => *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
                "/long" => *response.body_mut() = vec![b' '; MAX_HOOK_REPLY + 1].into(),
                "/slow" => tokio::time::sleep(Duration::from_secs(30)).await,
                _ => {}
            }
            response
        }
    };
    tokio::spawn(https::serve(
        listener,
        Transport::Tls(tls),
        limits,
        handler,
        stopping,
    ));
    Server {
        port,
        asked,
        _stop: stop,
        ca,
        folder,
    }
}

impl Server {
    fn functions(&self, paths: &[&str], private: bool) -> Result<Functions, Error> {
        let functions = paths.iter().map(|path| ProvisioningFunction {
            tenant: "t".to_owned(),
            urn: format!("urn:{path}"),
            url: format!("https://localhost:{}/{path}", self.port),
        });
        let mut policy = EventsUrlPolicy::default();
        policy.dangerous_allow_non_public = private;
        let tls = client_config(&[self.ca.certificate()]).expect("settings");
        let judging = policy.clone();
        let rule = move |address: IpAddr| judging.judge_address(address).is_ok();
        let rule = Arc::new(rule);
        let outbound = Outbound::new(tls, Schemes::HttpsOnly, rule, Functions::PATIENCE);
        Functions::new(&functions.collect::<Vec<_>>(), &policy, outbound)
    }
}

async fn ask(functions: &Functions, tenant: &str, path: &str) -> Result<Bytes, Error> {
    let tenant = tenant.parse().expect("tenant");
    let urn = FunctionUrn::new(format!("urn:{path}")).expect("name");
    functions.ask(&tenant, &urn, "{\"a\":1}".to_owned()).await
}

#[tokio::test]
async fn only_a_listed_function_of_the_tenant_is_asked_and_its_answer_comes_back() {
    let server = serve("listed").await;
    let functions = server.functions(&["allocate"], true).expect("functions");
    let answer = ask(&functions, "t", "allocate").await.expect("answer");
    assert_eq!(answer, ALLOW);
    let asked = server.asked.borrow().clone();
    assert_eq!(asked, ("/allocate".to_owned(), Bytes::from("{\"a\":1}")));
    for (tenant, path) in [("other", "allocate"), ("t", "another")] {
        assert!(ask(&functions, tenant, path).await.is_err(), "{tenant}");
    }
}

#[tokio::test]
async fn a_function_that_moves_fails_or_says_too_much_is_none() {
    let server = serve("bad").await;
    let paths = ["moved", "broken", "long"];
    let functions = server.functions(&paths, true).expect("functions");
    for path in paths {
        assert!(ask(&functions, "t", path).await.is_err(), "{path}");
        // And nothing was asked behind it.
        assert_eq!(server.asked.borrow().0, format!("/{path}"));
    }
}

#[tokio::test]
async fn a_slow_function_is_given_up_within_the_time_that_a_device_waits() {
    let server = serve("slow").await;
    let functions = server.functions(&["slow"], true).expect("functions");
    let begun = tokio::time::Instant::now();
    assert!(ask(&functions, "t", "slow").await.is_err());
    assert!(begun.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn a_function_on_an_inner_address_is_not_asked_unless_that_is_allowed() {
    let server = serve("inner").await;
    assert!(server.functions(&["allocate"], false).is_err());
    // A name that turns inwards after the configuration was read is refused when it is connected to.
    let mut functions = server.functions(&["allocate"], true).expect("functions");
    let tls = client_config(&[server.ca.certificate()]).expect("settings");
    let refuse = Arc::new(|_: IpAddr| false);
    functions.outbound = Outbound::new(tls, Schemes::HttpsOnly, refuse, Functions::PATIENCE);
    assert!(ask(&functions, "t", "allocate").await.is_err());
    assert_eq!(server.asked.borrow().0, "");
}

#[tokio::test]
async fn a_configuration_with_an_open_or_doubled_function_is_refused() {
    let server = serve("config").await;
    let functions = |list: &[(&str, &str, &str)]| {
        let list = list.iter().map(|(tenant, urn, url)| ProvisioningFunction {
            tenant: (*tenant).to_owned(),
            urn: (*urn).to_owned(),
            url: (*url).to_owned(),
        });
        let tls = client_config(&[server.ca.certificate()]).expect("settings");
        let outbound = Outbound::new(
            tls,
            Schemes::HttpsOnly,
            Arc::new(|_| true),
            Functions::PATIENCE,
        );
        let policy = EventsUrlPolicy::default();
        Functions::new(&list.collect::<Vec<_>>(), &policy, outbound).map(drop)
    };
    let good = ("t", "urn:f", "https://functions.example/secret-path");
    assert!(functions(&[good]).is_ok());
    for bad in [
        ("t t", good.1, good.2),
        (good.0, "", good.2),
        (good.0, good.1, "http://functions.example/secret-path"),
        (
            good.0,
            good.1,
            "https://user:word@functions.example/secret-path",
        ),
        (good.0, good.1, "https://192.168.0.1/secret-path"),
    ] {
        let refused = functions(&[bad]).expect_err("refused").chain();
        assert!(!refused.contains("secret-path"), "{refused}");
    }
    assert!(functions(&[good, good]).is_err());
}
