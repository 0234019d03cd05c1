//! Signals: messages about the connection itself. (RFC 8323, 5)

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use super::output::Release;
use crate::codec::{MAX_OPTIONS, MessageRef};
use crate::message::{Code, Kind, Message, Token};
use crate::option::{CoapOption, decode_uint, encode_uint, is_critical};

/// The code of a Capabilities and Settings Message.
pub(super) const CSM: Code = Code::new(7, 1);
const PING: Code = Code::new(7, 2);
const PONG: Code = Code::new(7, 3);
const RELEASE: Code = Code::new(7, 4);
const ABORT: Code = Code::new(7, 5);

// Options of signals have a number space of their own for each code. (RFC 8323, 5.2)
const CSM_MAX_MESSAGE_SIZE: u16 = 2;
const CSM_BLOCK_WISE_TRANSFER: u16 = 4;
const CUSTODY: u16 = 2;
const RELEASE_ALTERNATIVE_ADDRESS: u16 = 2;
const RELEASE_HOLD_OFF: u16 = 4;
const ABORT_BAD_CSM_OPTION: u16 = 2;

/// How many bytes an Alternative-Address has.
const ADDRESS_LEN: RangeInclusive<usize> = 1..=255;
const MAX_HOLD_OFF_LEN: usize = 3;

/// A signal; its token is kept apart.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Signal {
    /// Capabilities and settings; those not named stay as they are.
    Csm {
        max_message_size: Option<u32>,
        block_wise: bool,
    },
    /// Wants a Pong; with custody, one that says that all before is processed.
    Ping {
        custody: bool,
    },
    Pong {
        custody: bool,
    },
    /// The sender wants an orderly end.
    Release(Release),
    /// The sender ends the connection at once.
    Abort {
        bad_csm_option: Option<u16>,
        diagnostic: String,
    },
}

/// The number of a critical option that is not known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct UnknownOption(pub(super) u16);

impl Signal {
    /// Reads a signal; `None` for one with an unknown code, which asks nothing of us.
    pub(super) fn read(message: &MessageRef<'_>) -> Result<Option<Self>, UnknownOption> {
        // All options that are defined are elective. (RFC 8323, 5.3 to 5.6)
        let critical = message.options().find(|(number, _)| is_critical(*number));
        if let Some((number, _)) = critical {
            return Err(UnknownOption(number));
        }
        // A value out of range and a surplus occurrence count as unknown. (RFC 7252, 5.4.3 and 5.4.5)
        let option = |wanted, max_len| {
            message
                .options()
                .find(|(number, _)| *number == wanted)
                .map(|(_, value)| value)
                .filter(|value| value.len() <= max_len)
        };
        let uint = |wanted, max_len| option(wanted, max_len).and_then(decode_uint);
        Ok(Some(match message.code() {
            CSM => Self::Csm {
                max_message_size: uint(CSM_MAX_MESSAGE_SIZE, 4),
                block_wise: option(CSM_BLOCK_WISE_TRANSFER, 0).is_some(),
            },
            PING => Self::Ping {
                custody: option(CUSTODY, 0).is_some(),
            },
            PONG => Self::Pong {
                custody: option(CUSTODY, 0).is_some(),
            },
            RELEASE => Self::Release(Release {
                alternatives: addresses(message),
                hold_off: uint(RELEASE_HOLD_OFF, MAX_HOLD_OFF_LEN),
            }),
            ABORT => Self::Abort {
                bad_csm_option: uint(ABORT_BAD_CSM_OPTION, 2)
                    .and_then(|number| u16::try_from(number).ok()),
                diagnostic: String::from_utf8_lossy(message.payload()).into_owned(),
            },
            _ => return Ok(None),
        }))
    }

    pub(super) fn to_message(&self, token: Token) -> Message {
        let mut message = Message::new(Kind::Confirmable, self.code(), 0, token);
        let options = &mut message.options;
        let empty = |number| CoapOption::new(number, Vec::new());
        match self {
            Self::Csm {
                max_message_size,
                block_wise,
            } => {
                push_uint(options, CSM_MAX_MESSAGE_SIZE, *max_message_size);
                options.extend(block_wise.then(|| empty(CSM_BLOCK_WISE_TRANSFER)));
            }
            Self::Ping { custody } | Self::Pong { custody } => {
                options.extend(custody.then(|| empty(CUSTODY)));
            }
            Self::Release(release) => {
                options.extend(release.alternatives.iter().map(|address| {
                    CoapOption::new(RELEASE_ALTERNATIVE_ADDRESS, address.clone().into_bytes())
                }));
                push_uint(options, RELEASE_HOLD_OFF, release.hold_off);
            }
            Self::Abort {
                bad_csm_option,
                diagnostic,
            } => {
                push_uint(options, ABORT_BAD_CSM_OPTION, bad_csm_option.map(u32::from));
                message.payload = diagnostic.clone().into_bytes().into();
            }
        }
        message
    }

    const fn code(&self) -> Code {
        match self {
            Self::Csm { .. } => CSM,
            Self::Ping { .. } => PING,
            Self::Pong { .. } => PONG,
            Self::Release(_) => RELEASE,
            Self::Abort { .. } => ABORT,
        }
    }
}

impl Release {
    /// Whether options can carry it.
    pub(super) fn fits(&self) -> bool {
        self.alternatives.len() < MAX_OPTIONS
            && self
                .alternatives
                .iter()
                .all(|address| ADDRESS_LEN.contains(&address.len()))
            && self
                .hold_off
                .is_none_or(|secs| encode_uint(secs).len() <= MAX_HOLD_OFF_LEN)
    }
}

fn addresses(message: &MessageRef<'_>) -> Vec<String> {
    message
        .options()
        .filter(|(number, value)| {
            *number == RELEASE_ALTERNATIVE_ADDRESS && ADDRESS_LEN.contains(&value.len())
        })
        .filter_map(|(_, value)| core::str::from_utf8(value).ok().map(String::from))
        .collect()
}

fn push_uint(options: &mut Vec<CoapOption>, number: u16, value: Option<u32>) {
    options.extend(value.map(|value| CoapOption::from_uint(number, value)));
}

#[cfg(test)]
mod tests;
