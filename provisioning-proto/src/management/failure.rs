use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::json;

use super::{Subject, json as answer};
use crate::{Code, ErrorKind, ParseIdError};

/// Why a request is refused, for the operator to read: `{error_code, error_msg}`.
#[derive(Debug)]
pub(super) struct Failure {
    code: Code,
    text: Option<String>,
    /// The methods that there are instead.
    allow: Option<&'static str>,
}

impl Failure {
    pub(super) fn malformed(text: String) -> Self {
        Self::told(Code::MALFORMED, text)
    }

    pub(super) fn told(code: Code, text: String) -> Self {
        Self {
            code,
            text: Some(text),
            allow: None,
        }
    }

    pub(super) fn method(allow: &'static str) -> Self {
        Self {
            code: Code::METHOD,
            text: None,
            allow: Some(allow),
        }
    }
}

impl From<Code> for Failure {
    fn from(code: Code) -> Self {
        Self {
            code,
            text: None,
            allow: None,
        }
    }
}

impl From<ParseIdError> for Failure {
    fn from(error: ParseIdError) -> Self {
        Self::malformed(error.to_string())
    }
}

impl From<ErrorKind> for Failure {
    fn from(kind: ErrorKind) -> Self {
        Self::malformed(kind.to_string())
    }
}

impl From<crate::Error> for Failure {
    fn from(error: crate::Error) -> Self {
        error.kind().into()
    }
}

impl From<Failure> for Response<Bytes> {
    fn from(failure: Failure) -> Self {
        let code = failure.code;
        let text = failure.text.unwrap_or_else(|| code.text().to_owned());
        let body = json!({"error_code": code.to_string(), "error_msg": text});
        let status = StatusCode::from_u16(code.status());
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = answer(status, &body, None);
        if let Some(allow) = failure.allow {
            let allow = HeaderValue::from_static(allow);
            response.headers_mut().insert(header::ALLOW, allow);
        }
        response
    }
}

/// What a command's refusal means to an operator.
pub(super) fn of_kind(kind: ErrorKind, subject: &Subject) -> Failure {
    let code = match kind {
        ErrorKind::Conflict => Code::CHANGED,
        ErrorKind::Exists => match subject {
            Subject::Device(_) => Code::DEVICE_EXISTS,
            Subject::Group(_) => Code::GROUP_EXISTS,
            _ => Code::EXISTS,
        },
        ErrorKind::UnknownEntry | ErrorKind::UnknownDevice => match subject {
            Subject::Device(_) => Code::DEVICE_NOT_FOUND,
            Subject::Group(_) => Code::GROUP_NOT_FOUND,
            Subject::Policy(_) => Code::NO_SUCH_STRATEGY,
            Subject::AccessPoint(_) => Code::NOT_FOUND,
        },
        ErrorKind::UnknownTenant => Code::USER_NOT_FOUND,
        ErrorKind::InUse => match subject {
            Subject::Policy(_) => Code::STRATEGY_IN_USE,
            _ => Code::IN_USE,
        },
        ErrorKind::Full => Code::LIMIT,
        ErrorKind::Immutable => Code::IMMUTABLE,
        ErrorKind::CaTaken => Code::IN_USE,
        ErrorKind::NotGranted => Code::NOT_AUTHORIZED,
        ErrorKind::Unavailable => Code::UNAVAILABLE,
        _ => return kind.into(),
    };
    code.into()
}
