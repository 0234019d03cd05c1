//! The connector of AWS IoT Device Management managed integrations: how a cloud's devices are offered there.

mod answer;
pub mod connector;
pub mod event;
mod id;
pub mod matter;
pub mod request;
mod text;
mod value;

pub use answer::Answer;
pub use connector::Connector;
pub use event::SendConnectorEvent;
pub use id::{AttributeId, ClusterId, CommandId, EventId};
pub use request::Request;
pub use text::{
    CapabilityName, ConnectorDeviceId, ConnectorDeviceName, ConnectorId, DeviceDiscoveryId,
    DeviceType, EndpointId, Message, NodeId, OperationVersion, SemanticTag, StatusCode, TraceId,
};
pub use value::Value;
