use std::fmt;
use std::str::FromStr;

/// What an operator asks of a device's entry (vendor page "operate a device", member `action`).
///
/// The example on that page shows `allocateDevice`, which is none of the page's own values, and is none here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum DeviceAction {
    /// `resetDeviceSecret`: another secret for the device.
    ResetDeviceSecret,
    /// `triggerBootstrapDevice`: the device is to bootstrap again.
    TriggerBootstrapDevice,
}

/// An action that is none of [`DeviceAction`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no such action")]
#[non_exhaustive]
pub struct UnknownAction;

impl DeviceAction {
    /// The value of the member `action`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ResetDeviceSecret => "resetDeviceSecret",
            Self::TriggerBootstrapDevice => "triggerBootstrapDevice",
        }
    }
}

impl FromStr for DeviceAction {
    type Err = UnknownAction;

    fn from_str(text: &str) -> Result<Self, UnknownAction> {
        [Self::ResetDeviceSecret, Self::TriggerBootstrapDevice]
            .into_iter()
            .find(|action| action.as_str() == text)
            .ok_or(UnknownAction)
    }
}

impl fmt::Display for DeviceAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
