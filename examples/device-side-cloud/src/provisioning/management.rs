//! The operator's side of provisioning: the HTTPS interface, and the orders of admin commands, which go the same way.

use bytes::Bytes;
use coap_psk::secret::{DeviceSecret, MIN_SECRET_LEN};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use provisioning_proto::certificates::authorities::CertificateAuthorities;
use provisioning_proto::certificates::issuance::IssuedCertificates;
use provisioning_proto::directory::Directory;
use provisioning_proto::management::{self, Context, OPENAPI, SealFailed, Step};
use provisioning_proto::migration::Plans;
use provisioning_proto::registration::Command;
use provisioning_proto::{Code, ErrorKind, Secret, TenantId, tenant};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::task::JoinSet;

use super::{FileOrder, Instances, Provisioning};
use crate::clock;
use crate::config::ProvisioningOperator;
use crate::error::Error;

/// What an admin command wants of the provisioning service.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    CreateTenant {
        tenant: String,
        name: String,
    },
    Grant {
        tenant: String,
        access_point: String,
        to: String,
    },
    /// A request of the HTTPS interface.
    Request {
        tenant: String,
        method: String,
        path: String,
        body: Value,
    },
    /// Devices as they are created over HTTPS, many at once.
    Enroll {
        tenant: String,
        devices: Vec<Value>,
    },
    /// A device whose registration is carried in files.
    Migration(FileOrder),
}

/// Bodies may hold secrets.
impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Order(..)")
    }
}

/// What came of many devices: how many were made and how many were there, and which were refused and why.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Enrolled {
    pub(crate) created: usize,
    pub(crate) present: usize,
    /// By their places among those that were sent.
    pub(crate) refused: Vec<(usize, String)>,
}

/// The HTTPS interface; clones are the same one.
#[derive(Clone, Debug)]
pub(crate) struct Management {
    provisioning: Provisioning,
    /// The SHA-256 of each token, and its tenant.
    tokens: Vec<([u8; 32], TenantId)>,
}

impl Management {
    /// What its paths begin with.
    pub(crate) const PREFIX: &'static str = "/v5/iotps/";

    /// # Errors
    /// An operator of the configuration has no proper tenant or token.
    pub(crate) fn new(
        provisioning: Provisioning,
        operators: &[ProvisioningOperator],
    ) -> Result<Self, Error> {
        let tokens = operators.iter().map(|operator| {
            let wrong = || {
                let tenant = &operator.tenant;
                Error::plain(format!(
                    "operator of {tenant:?} in [provisioning]: a tenant's id, and token_sha256 of 64 hexadecimal digits"
                ))
            };
            let tenant = operator.tenant.parse().map_err(|_| wrong())?;
            let digest = digest(&operator.token_sha256).ok_or_else(wrong)?;
            Ok((digest, tenant))
        });
        Ok(Self {
            provisioning,
            tokens: tokens.collect::<Result<_, Error>>()?,
        })
    }

    /// Whether a path is of an operator or another instance.
    pub(crate) fn is_asked(path: &str) -> bool {
        path.starts_with(Self::PREFIX) || path.starts_with(Instances::PREFIX)
    }

    /// Answers a request of an operator or another instance, of which the path begins with [`PREFIX`](Self::PREFIX) or
    /// [`Instances::PREFIX`].
    pub(crate) async fn answer(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let path = request.uri().path();
        if path.starts_with(Instances::PREFIX) {
            return self.provisioning.answer_instance(request).await;
        }
        if path == "/v5/iotps/openapi.json" && *request.method() == Method::GET {
            let mut response = Response::new(Bytes::from_static(OPENAPI.as_bytes()));
            let kind = HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
            return response;
        }
        let tenant = management::tenant_of(path);
        match tenant.filter(|tenant| self.may(request, tenant)) {
            Some(tenant) => self.provisioning.manage(&tenant, request).await,
            // A tenant that is not there looks like one that is somebody else's.
            None => failed(Code::UNAUTHORIZED),
        }
    }

    fn may(&self, request: &Request<Bytes>, wanted: &TenantId) -> bool {
        let Some(token) = request.headers().get("x-auth-token") else {
            return false;
        };
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        self.tokens.iter().fold(false, |found, (known, tenant)| {
            let same: bool = known.ct_eq(&digest).into();
            found | (same & (tenant == wanted))
        })
    }
}

impl Provisioning {
    /// Carries an admin command out.
    ///
    /// # Errors
    /// It cannot be done, in words for the operator.
    pub(crate) async fn obey(&self, order: Order) -> Result<Value, Error> {
        match order {
            Order::CreateTenant { tenant, name } => {
                let command = tenant::Command::Create { name };
                self.set(&tenant, command).await?;
                Ok(json!({"tenant": tenant}))
            }
            Order::Grant {
                tenant,
                access_point,
                to,
            } => {
                let command = tenant::Command::Grant {
                    access_point: parsed(&access_point)?,
                    to: parsed(&to)?,
                };
                self.set(&tenant, command).await?;
                Ok(json!({"access_point": access_point, "granted_to": to}))
            }
            Order::Request {
                tenant,
                method,
                path,
                body,
            } => {
                let tenant = parsed(&tenant)?;
                self.asked(&tenant, &method, &path, &body).await
            }
            Order::Migration(order) => self.carry(order).await,
            Order::Enroll { tenant, devices } => {
                let enrolled = self.enroll(&parsed(&tenant)?, devices).await?;
                serde_json::to_value(enrolled).map_err(|cause| Error::new("no answer", cause))
            }
        }
    }

    /// Answers a request of the HTTPS interface.
    async fn manage(&self, tenant: &TenantId, request: &Request<Bytes>) -> Response<Bytes> {
        let Ok(entropy) = clock::entropy() else {
            return failed(Code::UNAVAILABLE);
        };
        let seal = |stream: &str, field: &str, secret: &Secret| {
            let sealed = self.secrets().seal(stream, field, secret.expose());
            sealed.map_err(|_| SealFailed::new())
        };
        let instances = self.0.migrating.instances.names(tenant);
        let read = |authorities: Option<&CertificateAuthorities>,
                    issued: Option<&IssuedCertificates>| {
            let read = |directory: &Directory, plans: &Plans| {
                let mut context = Context::new(directory, tenant, &seal, entropy, clock::wall())
                    .with_local_secrets(&local_secret)
                    .with_migrations(plans, &instances);
                context.authorities = authorities;
                context.issued = issued;
                management::begin(&context, request)
            };
            self.plans(tenant, |plans| {
                self.directory(|directory| read(directory, plans))
            })
        };
        let certification = self.0.local.certification();
        if management::is_about_authorities(request.uri().path()) {
            return certification
                .manage(tenant, |known| read(Some(known), None))
                .await;
        }
        if management::is_about_issuing(request.uri().path()) {
            return certification
                .manage_issuing(tenant, |known, issued| read(Some(known), Some(issued)))
                .await;
        }
        let edit = match read(None, None) {
            Step::Answer(response) => return response,
            Step::Edit(edit) => edit,
            Step::Migration(edit) => return self.migrate(tenant, edit).await,
            Step::Authority(_) | Step::Issuance(_) => return failed(Code::NOT_FOUND),
        };
        let mut naming = None;
        if let Some(ca) = edit.authority() {
            naming = certification.name(tenant, ca).await;
            if naming.is_none() {
                return failed(Code::NO_AUTHORITY);
            }
        }
        for command in edit.preparations() {
            // It may be there already.
            let _ = self.command(command.clone()).await;
        }
        let mut result = Err(ErrorKind::InvalidValue);
        for command in edit.commands() {
            result = self.command(command.clone()).await;
            if result.is_err() {
                break;
            }
        }
        drop(naming);
        self.directory(|directory| edit.answer(directory, result))
    }

    /// What the HTTPS interface answers.
    ///
    /// # Errors
    /// It refuses, in its words.
    pub(super) async fn asked(
        &self,
        tenant: &TenantId,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Result<Value, Error> {
        let response = self.request(tenant, method, path, body).await?;
        let answer = serde_json::from_slice(response.body()).unwrap_or(Value::Null);
        if response.status().is_success() {
            return Ok(answer);
        }
        Err(Error::plain(reason(&answer)))
    }

    async fn request(
        &self,
        tenant: &TenantId,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Result<Response<Bytes>, Error> {
        let body = match body {
            Value::Null => Bytes::new(),
            body => body.to_string().into(),
        };
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{tenant}/{path}", Management::PREFIX))
            .body(body)
            .map_err(|cause| Error::new("not a path of the interface", cause))?;
        Ok(self.manage(tenant, &request).await)
    }

    /// Enrolls many devices at once; whoever is there already is left as it is.
    async fn enroll(&self, tenant: &TenantId, devices: Vec<Value>) -> Result<Enrolled, Error> {
        let mut tasks = JoinSet::new();
        for (place, device) in devices.into_iter().enumerate() {
            let (provisioning, tenant) = (self.clone(), tenant.clone());
            tasks.spawn(async move {
                let response = provisioning
                    .request(&tenant, "POST", "devices", &device)
                    .await;
                (place, response)
            });
        }
        let mut enrolled = Enrolled::default();
        while let Some(ended) = tasks.join_next().await {
            let (place, response) =
                ended.map_err(|cause| Error::new("a device broke off", cause))?;
            let response = response?;
            let answer: Value = serde_json::from_slice(response.body()).unwrap_or(Value::Null);
            let code = answer.get("error_code").and_then(Value::as_str);
            if response.status() == StatusCode::CREATED {
                enrolled.created = enrolled.created.saturating_add(1);
            } else if code == Some(&Code::DEVICE_EXISTS.to_string()) {
                enrolled.present = enrolled.present.saturating_add(1);
            } else {
                enrolled.refused.push((place, reason(&answer)));
            }
        }
        enrolled.refused.sort_unstable();
        Ok(enrolled)
    }

    async fn set(&self, tenant: &str, command: tenant::Command) -> Result<(), Error> {
        let tenant = parsed(tenant)?;
        let done = self.command(Command::Settings { tenant, command }).await;
        done.map(drop)
            .map_err(|kind| Error::plain(kind.to_string()))
    }
}

pub(super) fn parsed<T: std::str::FromStr<Err = provisioning_proto::ParseIdError>>(
    text: &str,
) -> Result<T, Error> {
    text.parse()
        .map_err(|cause| Error::new(format!("{text:?} cannot be used"), cause))
}

/// Why, as the interface says it.
fn reason(answer: &Value) -> String {
    let part = |name| {
        answer
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or("unknown")
    };
    format!("{}: {}", part("error_code"), part("error_msg"))
}

/// A device of this cloud signs with its secret, and of how many characters that is.
fn local_secret(secret: &Secret) -> Result<(), String> {
    let text = std::str::from_utf8(secret.expose()).unwrap_or_default();
    DeviceSecret::new(text).map(drop).map_err(|_| {
        format!(
            "a device that may be assigned to this cloud itself needs a secret of at least {MIN_SECRET_LEN} visible ASCII \
             characters; tie it to another access point, or give it a longer one"
        )
    })
}

fn failed(code: Code) -> Response<Bytes> {
    let body = json!({"error_code": code.to_string(), "error_msg": code.text()});
    let mut response = Response::new(Bytes::from(body.to_string()));
    let status = StatusCode::from_u16(code.status());
    *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn digest(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let read = base16ct::mixed::decode(text, &mut bytes).ok()?;
    (read.len() == 32).then_some(bytes)
}
