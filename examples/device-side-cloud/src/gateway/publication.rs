//! What a device says with `POST /oic/rd`: who it is and which links it offers (`oic.wk.rd`).

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uci_model::{Content, ContentFormat, DeviceId, Limits, ResourceLink, Value};

use super::format::format_of;
use crate::error::Error;

/// A publication, as it comes and as it is answered: the cloud gives each link an instance number.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Publication {
    /// The device.
    di: DeviceId,
    /// Its links; their hrefs are the device's own.
    links: Vec<ResourceLink>,
    /// For how long, in seconds; the session's lifetime bounds it in any case.
    #[serde(default)]
    ttl: u64,
}

impl Publication {
    /// Reads a publication.
    ///
    /// # Errors
    /// It is not in a format of OCF, not well formed, or lacks something.
    pub(crate) fn read(
        content_format: Option<u16>,
        payload: &Bytes,
        limits: &Limits,
    ) -> Result<Self, Error> {
        let format = content_format
            .and_then(format_of)
            .ok_or_else(|| Error::plain("the format of the publication is not one of OCF"))?;
        Content::new(format, payload.clone())
            .decode_as(limits)
            .map_err(|cause| Error::new("the publication cannot be read", cause))
    }

    /// The device.
    pub(crate) fn device(&self) -> DeviceId {
        self.di
    }

    /// The links, in the name of the device id under which the cloud has the publisher.
    pub(crate) fn links_of(&self, device: DeviceId) -> Vec<ResourceLink> {
        let links = self.links.iter().cloned();
        links
            .map(|mut link| {
                link.href = link.href.without_device(self.di);
                if link.anchor == Some(anchor(self.di)) {
                    link.anchor = Some(anchor(device));
                }
                link.device_id = Some(device);
                link
            })
            .collect()
    }

    /// The answer: the same, with an instance number for each link.
    ///
    /// # Errors
    /// It cannot be encoded.
    pub(crate) fn answered(mut self) -> Result<Content, Error> {
        for (number, link) in (0_u64..).zip(&mut self.links) {
            link.extra.insert("ins".into(), Value::from(number));
        }
        Content::encode(ContentFormat::OcfCbor, &self)
            .map_err(|cause| Error::new("the answer cannot be written", cause))
    }
}

/// What a link is seen from when that is the device itself.
fn anchor(device: DeviceId) -> String {
    format!("ocf://{device}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publication_is_answered_with_instance_numbers() {
        let json = br#"{"di":"5f3c2d6e-8a41-4a43-9d8e-0c1f6a7b2e10","links":[
            {"href":"/light/1","rt":["core.light"],"if":["oic.if.rw"],"p":{"bm":3}}],"ttl":600}"#;
        let limits = Limits::default();
        let read = Publication::read(Some(50), &Bytes::from_static(json), &limits).expect("read");
        assert_eq!(read.links.len(), 1);
        let answer = read
            .answered()
            .expect("answer")
            .decode(&limits)
            .expect("decode");
        assert!(format!("{answer:?}").contains("ins"));
    }

    #[test]
    fn links_are_taken_in_the_name_of_the_id_that_the_cloud_has() {
        let json = br#"{"di":"5f3c2d6e-8a41-4a43-9d8e-0c1f6a7b2e10","links":[
            {"href":"/5f3c2d6e-8a41-4a43-9d8e-0c1f6a7b2e10/light/1","di":"5f3c2d6e-8a41-4a43-9d8e-0c1f6a7b2e10",
             "anchor":"ocf://5f3c2d6e-8a41-4a43-9d8e-0c1f6a7b2e10","rt":["core.light"],"if":["oic.if.rw"]},
            {"href":"/other","anchor":"ocf://00000000-0000-4000-8000-000000000000","rt":["x.y"],"if":["oic.if.r"]}]}"#;
        let limits = Limits::default();
        let read = Publication::read(Some(50), &Bytes::from_static(json), &limits).expect("read");
        let device = DeviceId::from_bytes([7; 16]);
        let links = read.links_of(device);
        let seen: Vec<_> = links
            .iter()
            .map(|link| (link.href.as_str(), link.device_id, link.anchor.as_deref()))
            .collect();
        let own = format!("ocf://{device}");
        let foreign = "ocf://00000000-0000-4000-8000-000000000000";
        assert_eq!(
            seen,
            [
                ("/light/1", Some(device), Some(own.as_str())),
                ("/other", Some(device), Some(foreign)),
            ]
        );
    }

    #[test]
    fn what_is_not_a_publication_is_refused() {
        let limits = Limits::default();
        for (format, body) in [
            (None, &b"{}"[..]),
            (Some(0), b"{}"),
            (Some(60), b"{}"),
            (Some(50), b"{}"),
            (Some(50), b"{\"di\":\"x\",\"links\":[]}"),
            (Some(10000), b"\xff"),
        ] {
            assert!(Publication::read(format, &Bytes::copy_from_slice(body), &limits).is_err());
        }
    }
}
