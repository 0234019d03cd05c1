//! A tenant's own function that chooses an access point: what it is asked, and what it may answer.
//!
//! The question is a JSON object without any secret. The answer is the documented one: `statusCode` 200 and a `body` that is a JSON
//! *string*, in which `status` is `allow` with a `context.allocationResult`, or `deny` with a `context.errorCode` and a
//! `context.errorMsg`, neither of them empty. `allocationResult` is the id of the chosen access point, or the text of a JSON object
//! with `access_point_id` and perhaps `app_id`. Beside what is documented, that object may have an `init_config`: a text that the
//! device is given instead of that of its enrollment or group, and instead of what it had before.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::allocation::{AccessPoint, Decision, FunctionUrn, Owner, Target};
use crate::model::InitialConfig;
use crate::{AccessPointId, ApplicationId, PolicyId, RegistrationId, TenantId};

/// The longest answer that is looked into, in bytes.
pub const MAX_HOOK_REPLY: usize = 16_384;
/// The longest code of a refusal, in bytes.
const MAX_CODE: usize = 64;
/// The longest reason of a refusal, in bytes.
const MAX_TEXT: usize = 1024;

/// A function that must be asked, and the access points among which it may choose.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct HookCall {
    /// Which function.
    pub function: FunctionUrn,
    /// The policy that names it.
    pub policy: PolicyId,
    /// The access points, by their ids.
    pub candidates: Vec<Candidate>,
}

/// An access point that a function may choose.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Candidate {
    /// Which.
    pub access_point: AccessPointId,
    /// Where it stands.
    pub region: Option<String>,
    /// Whose it is, if not the tenant's own.
    pub owner: Option<TenantId>,
    applications: Vec<ApplicationId>,
    default_application: Option<ApplicationId>,
}

/// What a function is told of a device.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct HookDevice<'a> {
    /// Its id.
    pub id: &'a RegistrationId,
    /// Its name.
    pub name: &'a str,
    /// The keyword that it sent.
    pub payload_keyword: Option<&'a str>,
    /// Where it comes from.
    pub peer: Option<IpAddr>,
    /// How it proved itself.
    pub proof: HookProof<'a>,
}

/// How a device proved itself, without what it proved it with.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum HookProof<'a> {
    /// By a secret, which is not told.
    Secret,
    /// By a certificate.
    Certificate {
        /// The authority that vouches for it; none for a certificate that is pinned.
        authority: Option<HookAuthority<'a>>,
        /// The common name of the device's certificate.
        subject: &'a str,
        /// The common name of its issuer.
        issuer: &'a str,
    },
}

/// What a function is told of the authority that vouches for a device.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::exhaustive_structs,
    reason = "the members are those of the vendor's contract"
)]
pub struct HookAuthority<'a> {
    /// The name that the tenant gave it.
    pub name: &'a str,
    /// The common name of its certificate.
    pub subject: &'a str,
    /// SHA-256 of its certificate in hexadecimal digits.
    pub fingerprint: &'a str,
}

/// Why an answer of a function is none. Nobody is assigned by it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HookFault {
    /// It is too long.
    #[error("the answer is too long")]
    TooLong,
    /// It is not an answer as documented.
    #[error("the answer is malformed")]
    Malformed,
    /// The function failed; its status.
    #[error("the function failed with status {0}")]
    Failed(u16),
    /// A refusal without a code or without a reason.
    #[error("the refusal names no code or no reason")]
    NoReason,
    /// An access point or application that it was not offered.
    #[error("the answer is not among what was offered")]
    NotOffered,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Question<'a> {
    device_id: &'a str,
    device_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    base_strategy_keyword: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer_address: Option<IpAddr>,
    function_urn: &'a str,
    access_points: Vec<AccessPointPara<'a>>,
    auth_info: AuthInfoPara<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AccessPointPara<'a> {
    access_point_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    region_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorizing_domain_id: Option<&'a str>,
    app_ids: Vec<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AuthInfoPara<'a> {
    auth_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cert_info: Option<CertInfo<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CertInfo<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_cert: Option<CaCert<'a>>,
    device_cert: DeviceCert<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CaCert<'a> {
    subject_cn_name: &'a str,
    ca_cert_name: &'a str,
    fingerprint: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeviceCert<'a> {
    subject_cn_name: &'a str,
    issuer_cn_name: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reply {
    status_code: u16,
    body: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Body {
    status: String,
    context: Context,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Context {
    allocation_result: Option<String>,
    error_code: Option<String>,
    error_msg: Option<String>,
}

#[derive(Deserialize)]
struct Chosen {
    access_point_id: String,
    app_id: Option<String>,
    init_config: Option<String>,
}

impl HookCall {
    pub(super) fn new<'p>(
        function: FunctionUrn,
        policy: PolicyId,
        points: impl Iterator<Item = &'p AccessPoint>,
    ) -> Self {
        let candidates = points
            .map(|point| Candidate {
                access_point: point.id.clone(),
                region: point.region.clone(),
                owner: match &point.owner {
                    Owner::Own => None,
                    Owner::Other { tenant, .. } => Some(tenant.clone()),
                },
                applications: point.applications.iter().cloned().collect(),
                default_application: point.default_application.clone(),
            })
            .collect();
        Self {
            function,
            policy,
            candidates,
        }
    }

    /// The JSON text that the function is given.
    #[must_use]
    pub fn question(&self, device: &HookDevice<'_>) -> String {
        let points = self.candidates.iter().map(|candidate| AccessPointPara {
            access_point_id: candidate.access_point.as_str(),
            region_id: candidate.region.as_deref(),
            authorizing_domain_id: candidate.owner.as_ref().map(TenantId::as_str),
            app_ids: candidate
                .applications
                .iter()
                .map(ApplicationId::as_str)
                .collect(),
        });
        let (auth_type, cert_info) = match device.proof {
            HookProof::Secret => ("SECRET", None),
            HookProof::Certificate {
                authority,
                subject,
                issuer,
            } => {
                let info = CertInfo {
                    ca_cert: authority.map(|authority| CaCert {
                        subject_cn_name: authority.subject,
                        ca_cert_name: authority.name,
                        fingerprint: authority.fingerprint,
                    }),
                    device_cert: DeviceCert {
                        subject_cn_name: subject,
                        issuer_cn_name: issuer,
                    },
                };
                ("CERTIFICATES", Some(info))
            }
        };
        let question = Question {
            device_id: device.id.as_str(),
            device_name: device.name,
            base_strategy_keyword: device.payload_keyword,
            peer_address: device.peer,
            function_urn: self.function.as_str(),
            access_points: points.collect(),
            auth_info: AuthInfoPara {
                auth_type,
                cert_info,
            },
        };
        // Texts and addresses always have a JSON form.
        serde_json::to_string(&question).unwrap_or_default()
    }

    /// What the function answered: [`Decision::Assign`] or [`Decision::Deny`].
    ///
    /// # Errors
    ///
    /// Why it is no answer; then nothing is decided.
    pub fn read(&self, reply: &[u8]) -> Result<Decision, HookFault> {
        if reply.len() > MAX_HOOK_REPLY {
            return Err(HookFault::TooLong);
        }
        let reply: Reply = serde_json::from_slice(reply).map_err(|_| HookFault::Malformed)?;
        if reply.status_code != 200 {
            return Err(HookFault::Failed(reply.status_code));
        }
        // An object in its place would be read by some and not by others.
        let Some(serde_json::Value::String(body)) = reply.body else {
            return Err(HookFault::Malformed);
        };
        let body: Body = serde_json::from_str(&body).map_err(|_| HookFault::Malformed)?;
        match body.status.as_str() {
            "allow" => {
                let result = body.context.allocation_result.ok_or(HookFault::Malformed)?;
                self.chosen(&result)
            }
            "deny" => {
                let code = body.context.error_code.filter(|code| !code.is_empty());
                let text = body.context.error_msg.filter(|text| !text.is_empty());
                let (Some(code), Some(text)) = (code, text) else {
                    return Err(HookFault::NoReason);
                };
                if code.len() > MAX_CODE || text.len() > MAX_TEXT {
                    return Err(HookFault::TooLong);
                }
                Ok(Decision::Deny { code, text })
            }
            _ => Err(HookFault::Malformed),
        }
    }

    fn chosen(&self, result: &str) -> Result<Decision, HookFault> {
        let chosen = if result.trim_start().starts_with('{') {
            serde_json::from_str(result).map_err(|_| HookFault::Malformed)?
        } else {
            Chosen {
                access_point_id: result.to_owned(),
                app_id: None,
                init_config: None,
            }
        };
        let mut candidates = self.candidates.iter();
        let offered = candidates.find(|one| one.access_point.as_str() == chosen.access_point_id);
        let candidate = offered.ok_or(HookFault::NotOffered)?;
        let application = match chosen.app_id {
            None => candidate.default_application.clone(),
            Some(app) => {
                let mut known = candidate.applications.iter();
                let app = known.find(|known| known.as_str() == app);
                Some(app.ok_or(HookFault::NotOffered)?.clone())
            }
        };
        let initial_config = chosen.init_config.map(InitialConfig::new).transpose();
        Ok(Decision::Assign {
            initial_config: initial_config.map_err(|_| HookFault::Malformed)?,
            target: Target::new(candidate.access_point.clone(), application),
            policy: Some(self.policy.clone()),
        })
    }
}
