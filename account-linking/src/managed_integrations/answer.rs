//! What a connector answers: the result of one Lambda invocation.

use bytes::Bytes;
use serde::Serialize;

use crate::managed_integrations::request::Refusal;
use crate::managed_integrations::text::{Message, StatusCode};
use crate::user_id::UserId;

/// An answer. One that is no success is read, too: customers see its code and message in a `CONNECTOR_ERROR_REPORT`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    status: StatusCode,
    message: Message,
    user: Option<UserId>,
}

impl Answer {
    /// The user is known by this id.
    #[must_use]
    pub fn activated(user: UserId) -> Self {
        Self {
            user: Some(user),
            ..Self::accepted("The user is known")
        }
    }

    /// It is done, or will be done.
    #[must_use]
    pub fn accepted(message: &str) -> Self {
        Self {
            status: StatusCode::OK,
            message: Message::nearest(message),
            user: None,
        }
    }

    /// It is not done, and why; the message must not hold what only the user may know.
    #[must_use]
    pub fn refused(status: StatusCode, message: &str) -> Self {
        Self {
            status,
            message: Message::nearest(message),
            user: None,
        }
    }

    /// The code, in the meaning of HTTP.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The message.
    #[must_use]
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// The id of the user; only `AWS.ActivateUser` asks for it.
    #[must_use]
    pub fn user(&self) -> Option<&UserId> {
        self.user.as_ref()
    }

    /// The JSON that the Lambda function returns.
    #[must_use]
    pub fn to_json(&self) -> Bytes {
        let envelope = Envelope {
            header: Header {
                response_code: self.status,
            },
            payload: Payload {
                response_message: &self.message,
                user_id: self.user.as_ref(),
            },
        };
        // Numbers and texts: nothing here that JSON could not hold.
        serde_json::to_vec(&envelope)
            .map(Bytes::from)
            .unwrap_or_default()
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        Self::refused(refusal.status(), &refusal.to_string())
    }
}

#[derive(Serialize)]
struct Envelope<'a> {
    header: Header,
    payload: Payload<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    response_code: StatusCode,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Payload<'a> {
    response_message: &'a Message,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a UserId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_written_as_documented() {
        let activated = Answer::activated("user-1".parse().unwrap());
        assert_eq!(
            activated.to_json(),
            r#"{"header":{"responseCode":200},"payload":{"responseMessage":"The user is known","userId":"user-1"}}"#
        );
        let refused = Answer::from(Refusal::Missing("deviceDiscoveryId"));
        assert_eq!(
            refused.to_json(),
            r#"{"header":{"responseCode":400},"payload":{"responseMessage":"The request has no deviceDiscoveryId"}}"#
        );
    }
}
