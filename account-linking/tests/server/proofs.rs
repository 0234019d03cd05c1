//! Whoever makes proofs of possession in these tests.

use account_linking::server::{Config, Dpop};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::harness::*;

/// The holder of a key.
#[derive(Debug)]
pub(crate) struct Holder {
    x: [u8; 32],
    count: u64,
}

impl Holder {
    pub(crate) fn new(x: u8) -> Self {
        Self {
            x: [x; 32],
            count: 0,
        }
    }

    fn jwk(&self) -> Value {
        json!({"kty": "EC", "crv": "P-256", "x": BASE64.encode(self.x), "y": BASE64.encode([9; 32])})
    }

    pub(crate) fn thumbprint(&self) -> String {
        BASE64.encode(Sha256::digest(self.jwk().to_string()))
    }

    /// The claims of a new proof.
    pub(crate) fn claims(&mut self, world: &World, method: &str, url: &str) -> Value {
        self.count += 1;
        let wall = world.wall.duration_since(std::time::UNIX_EPOCH).unwrap();
        json!({"jti": format!("proof {}", self.count), "htm": method, "htu": url, "iat": wall.as_secs()})
    }

    /// A proof of that second, in seconds since the epoch.
    pub(crate) fn at(&mut self, second: u64, method: &str, url: &str) -> String {
        self.sign(&json!({"jti": "proof", "htm": method, "htu": url, "iat": second}))
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        let header = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk()});
        let part = |value: &Value| BASE64.encode(value.to_string());
        let input = format!("{}.{}", part(&header), part(claims));
        format!(
            "{input}.{}",
            BASE64.encode(signed_by(&self.x, input.as_bytes()))
        )
    }

    /// A proof for the token endpoint.
    pub(crate) fn for_token(&mut self, world: &World) -> String {
        let claims = self.claims(world, "POST", &format!("{ISSUER}/token"));
        self.sign(&claims)
    }

    /// A proof for the protected API with this token.
    pub(crate) fn for_api(&mut self, world: &World, token: &str) -> String {
        self.for_api_with(world, token, None)
    }

    /// The same with a nonce.
    pub(crate) fn for_api_with(
        &mut self,
        world: &World,
        token: &str,
        nonce: Option<&str>,
    ) -> String {
        let url = "https://cloud.example/api/v1/devices";
        let mut claims = self.claims_for(world, "GET", url, token);
        if let Some(nonce) = nonce {
            claims["nonce"] = nonce.into();
        }
        self.sign(&claims)
    }

    /// The claims of a new proof that goes with a token.
    pub(crate) fn claims_for(
        &mut self,
        world: &World,
        method: &str,
        url: &str,
        token: &str,
    ) -> Value {
        let mut claims = self.claims(world, method, url);
        claims["ath"] = BASE64.encode(Sha256::digest(token)).into();
        claims
    }
}

pub(crate) fn settings() -> Config {
    let mut settings = config();
    settings.dpop = Some(Dpop::default());
    settings
}

/// A token request with a proof.
pub(crate) fn token_with(
    world: &mut World,
    secret: Option<&str>,
    client: &str,
    proof: &str,
    pairs: &[(&str, &str)],
) -> Response<Bytes> {
    let mut pairs = pairs.to_vec();
    pairs.push(("client_id", client));
    pairs.extend(secret.map(|secret| ("client_secret", secret)));
    world.post("/oauth/token", &[("dpop", proof)], form(&pairs))
}

pub(crate) fn redeem_with(
    world: &mut World,
    secret: Option<&str>,
    client: &str,
    proof: &str,
    code: &str,
) -> Response<Bytes> {
    let verifier = verifier();
    let pairs = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", verifier.expose()),
    ];
    token_with(world, secret, client, proof, &pairs)
}

pub(crate) fn refresh_with(
    world: &mut World,
    secret: Option<&str>,
    client: &str,
    proof: &str,
    token: &str,
) -> Response<Bytes> {
    let pairs = [("grant_type", "refresh_token"), ("refresh_token", token)];
    token_with(world, secret, client, proof, &pairs)
}

/// A request to the protected API with a token that is bound to a key.
pub(crate) fn bound_request(token: &str, proof: &str) -> Request<Bytes> {
    Request::get("/api/v1/devices?page=1")
        .header("authorization", format!("DPoP {token}"))
        .header("dpop", proof)
        .body(Bytes::new())
        .unwrap()
}
