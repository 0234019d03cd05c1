//! Resource types and interfaces.

use alloc::borrow::Cow;

use crate::ids::text_id;

text_id! {
    /// A resource type, the items of `rt`: `oic.wk.d`, `oic.r.switch.binary`.
    ResourceType, "resource type", max 64, known [DEVICE, PLATFORM]
}

text_id! {
    /// A view of a resource, the items of `if`: `oic.if.baseline`, `oic.if.rw`.
    ///
    /// Interfaces that the standard does not list are kept: devices in the field have them.
    Interface, "interface", max 64,
    known [BASELINE, LINK_LIST, BATCH, READ_WRITE, READ, ACTUATOR, SENSOR]
}

impl ResourceType {
    /// `oic.wk.d`, the device resource.
    pub const DEVICE: Self = Self(Cow::Borrowed("oic.wk.d"));
    /// `oic.wk.p`, the platform resource.
    pub const PLATFORM: Self = Self(Cow::Borrowed("oic.wk.p"));
}

impl Interface {
    /// `oic.if.baseline`: all properties, the common ones included.
    pub const BASELINE: Self = Self(Cow::Borrowed("oic.if.baseline"));
    /// `oic.if.ll`: the links of a collection.
    pub const LINK_LIST: Self = Self(Cow::Borrowed("oic.if.ll"));
    /// `oic.if.b`: the resources of a collection in one message.
    pub const BATCH: Self = Self(Cow::Borrowed("oic.if.b"));
    /// `oic.if.rw`: properties that can be read and written.
    pub const READ_WRITE: Self = Self(Cow::Borrowed("oic.if.rw"));
    /// `oic.if.r`: properties that can be read.
    pub const READ: Self = Self(Cow::Borrowed("oic.if.r"));
    /// `oic.if.a`: an actuator.
    pub const ACTUATOR: Self = Self(Cow::Borrowed("oic.if.a"));
    /// `oic.if.s`: a sensor.
    pub const SENSOR: Self = Self(Cow::Borrowed("oic.if.s"));
}
