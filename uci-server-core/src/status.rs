//! From a device's CoAP code to the status of the HTTP answer: RFC 8075, 7, where the interface allows it.

use http::StatusCode;

/// The HTTP status for a device's answer code (class in the upper three bits, detail in the lower five).
///
/// A success is always 200: peers take no other success of a read or an update. 4.01 becomes 403, because a 401 would say
/// that the *bearer token* is bad. Codes that say nothing to a peer, 2.31 and unknown ones, are a bad gateway.
#[must_use]
pub fn http_status(code: u8) -> StatusCode {
    match code {
        // 2.01 Created, 2.02 Deleted, 2.03 Valid, 2.04 Changed, 2.05 Content
        65..=69 => StatusCode::OK,
        // 4.00 Bad Request, 4.02 Bad Option
        128 | 130 => StatusCode::BAD_REQUEST,
        // 4.01 Unauthorized, 4.03 Forbidden
        129 | 131 => StatusCode::FORBIDDEN,
        132 => StatusCode::NOT_FOUND,
        133 => StatusCode::METHOD_NOT_ALLOWED,
        134 => StatusCode::NOT_ACCEPTABLE,
        137 => StatusCode::CONFLICT,
        140 => StatusCode::PRECONDITION_FAILED,
        141 => StatusCode::PAYLOAD_TOO_LARGE,
        143 => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        150 => StatusCode::UNPROCESSABLE_ENTITY,
        157 => StatusCode::TOO_MANY_REQUESTS,
        161 => StatusCode::NOT_IMPLEMENTED,
        163 => StatusCode::SERVICE_UNAVAILABLE,
        164 => StatusCode::GATEWAY_TIMEOUT,
        // 4.08, 5.00, 5.02, 5.05 and all that RFC 7252 does not know
        _ => StatusCode::BAD_GATEWAY,
    }
}

/// Whether the answer should say when to come back.
pub(crate) fn wants_retry_after(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Class and detail as they are written, the HTTP status.
    const TABLE: &[(u8, u8, u16)] = &[
        (2, 1, 200),
        (2, 2, 200),
        (2, 3, 200),
        (2, 4, 200),
        (2, 5, 200),
        (2, 31, 502),
        (4, 0, 400),
        (4, 1, 403),
        (4, 2, 400),
        (4, 3, 403),
        (4, 4, 404),
        (4, 5, 405),
        (4, 6, 406),
        (4, 8, 502),
        (4, 9, 409),
        (4, 12, 412),
        (4, 13, 413),
        (4, 15, 415),
        (4, 22, 422),
        (4, 29, 429),
        (5, 0, 502),
        (5, 1, 501),
        (5, 2, 502),
        (5, 3, 503),
        (5, 4, 504),
        (5, 5, 502),
    ];

    #[test]
    fn every_row_of_the_table_holds() {
        for &(class, detail, status) in TABLE {
            assert_eq!(
                http_status(class << 5 | detail).as_u16(),
                status,
                "{class}.{detail:02}"
            );
        }
    }

    #[test]
    fn no_other_code_is_a_success() {
        let listed = |code: u8| {
            TABLE
                .iter()
                .any(|&(class, detail, _)| class << 5 | detail == code)
        };
        for code in (0..=u8::MAX).filter(|code| !listed(*code)) {
            assert_eq!(http_status(code), StatusCode::BAD_GATEWAY, "{code}");
        }
    }
}
