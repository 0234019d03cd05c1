//! The body of one event, written at most once in each format and shared by all who are told.

use bytes::Bytes;
use uci_model::{Content, ContentFormat, Event, EventType, Limits};

/// An event with its body in the formats that were asked for so far.
pub(super) struct Body {
    event: Event,
    json: Option<Bytes>,
    cbor: Option<Bytes>,
}

impl Body {
    pub(super) fn new(event: Event) -> Self {
        Self {
            event,
            json: None,
            cbor: None,
        }
    }

    pub(super) fn changed(content: &Content) -> Self {
        Self::new(Event::ResourceContentChanged(content.clone()))
    }

    pub(super) fn event_type(&self) -> EventType {
        self.event.event_type()
    }

    /// The body in `format`; `None` when it cannot be written so, which `decide` has excluded.
    pub(super) fn render(&mut self, format: ContentFormat) -> Option<Bytes> {
        let written = match format {
            ContentFormat::Json => &mut self.json,
            ContentFormat::OcfCbor => &mut self.cbor,
        };
        if written.is_none() {
            let content = self.event.encode(format, &stored_limits()).ok()??;
            *written = Some(content.into_body());
        }
        written.clone()
    }
}

/// Bounds for content that is in a ledger already. They are part of the rule by which a change is applied, so no setting may
/// change them; what comes in is held to the configured, narrower ones before.
pub(super) fn stored_limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_depth = 127;
    limits.max_items = usize::MAX;
    limits.max_length = usize::MAX;
    limits
}
