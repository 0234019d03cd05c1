//! What random runs of the machine are made of.

use http::StatusCode;
use proptest::prelude::*;
use uci_server_core::{DeliveryOutcome, DeviceAnswer, TransportFailure};

use super::rig::cbor;

/// Something that happens to the machine without an output of its own.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    Request {
        account: u8,
        kind: u8,
    },
    Report {
        account: u8,
        device: u8,
        kind: u8,
    },
    EndGrant {
        account: u8,
    },
    Wake {
        account: u8,
    },
    Operator {
        account: u8,
        device: u8,
        kind: u8,
    },
    Timeout {
        milliseconds: u64,
    },
    /// A timeout in the past.
    Backwards,
}

/// Inputs in a row, then the outside answers what there is to answer.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) burst: Vec<Input>,
    pub(crate) journal: JournalMood,
    /// How many asks and deliveries are answered, and how.
    pub(crate) answers: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum JournalMood {
    Good,
    Silent,
    Unsure,
    Conflicting,
    Fencing,
}

fn inputs() -> impl Strategy<Value = Input> {
    prop_oneof![
        4 => (0..3_u8, 0..8_u8).prop_map(|(account, kind)| Input::Request { account, kind }),
        6 => (0..3_u8, 0..3_u8, 0..8_u8)
            .prop_map(|(account, device, kind)| Input::Report { account, device, kind }),
        1 => (0..3_u8).prop_map(|account| Input::EndGrant { account }),
        1 => (0..3_u8).prop_map(|account| Input::Wake { account }),
        2 => (0..3_u8, 0..3_u8, 0..4_u8)
            .prop_map(|(account, device, kind)| Input::Operator { account, device, kind }),
        2 => (0..100_000_u64).prop_map(|milliseconds| Input::Timeout { milliseconds }),
        1 => Just(Input::Backwards),
    ]
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let mood = prop_oneof![
        8 => Just(JournalMood::Good),
        1 => Just(JournalMood::Silent),
        1 => Just(JournalMood::Unsure),
        1 => Just(JournalMood::Conflicting),
        1 => Just(JournalMood::Fencing),
    ];
    let step = (
        prop::collection::vec(inputs(), 1..6),
        mood,
        prop::collection::vec(any::<u8>(), 0..6),
    );
    let step = step.prop_map(|(burst, journal, answers)| Step {
        burst,
        journal,
        answers,
    });
    prop::collection::vec(step, 1..20)
}

pub(crate) fn device_answer(choice: u8) -> DeviceAnswer {
    match choice % 6 {
        0 => DeviceAnswer::Unreachable,
        1 => DeviceAnswer::answered(132, None, None),
        2 => DeviceAnswer::answered(choice, None, None),
        3 => DeviceAnswer::Unreadable,
        4 => DeviceAnswer::AsKnown,
        _ => DeviceAnswer::answered(69, Some(cbor("{}")), None),
    }
}

pub(crate) fn delivery_result(choice: u8) -> Result<DeliveryOutcome, TransportFailure> {
    let status = match choice % 8 {
        0 => return Err(TransportFailure::Connection),
        1 => StatusCode::SERVICE_UNAVAILABLE,
        2 => StatusCode::BAD_REQUEST,
        3 => StatusCode::GONE,
        _ => StatusCode::OK,
    };
    let response = http::Response::builder()
        .status(status)
        .body(bytes::Bytes::new())
        .unwrap();
    Ok(DeliveryOutcome::from_response(&response))
}
