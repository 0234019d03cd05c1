//! What a connector tells: the values of `SendConnectorEvent`.
//!
//! A value that exists is one that the API model 2025-03-03 allows: every text is a type that cannot be wrong, and every
//! list is checked when it is put in. The caller signs the request (SigV4) and sends it.
//!
//! `DEVICE_COMMAND_REQUEST` has no constructor: nothing but signalling of WebRTC is documented to use it.

mod endpoint;
mod report;

pub use endpoint::{MatterCluster, MatterEndpoint};
pub use report::{
    CapabilityReport, Device, PublicId, ReportAttribute, ReportCluster, ReportEndpoint, Revision,
};

use bytes::Bytes;
use http::{Method, Request, Uri, header};
use serde::Serialize;

use crate::error::{Error, ErrorKind};
use crate::managed_integrations::text::{
    ConnectorDeviceId, ConnectorId, DeviceDiscoveryId, Message, OperationVersion, StatusCode,
    TraceId,
};
use crate::user_id::UserId;

/// One event, for one connector.
#[derive(Clone, Debug, PartialEq)]
pub struct SendConnectorEvent {
    connector: ConnectorId,
    body: Body,
}

/// What an event is about.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EventOperation {
    /// What became of a command.
    DeviceCommandResponse,
    /// The devices of a user.
    DeviceDiscovery,
    /// A device has another state.
    DeviceEvent,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Body {
    user_id: UserId,
    operation: EventOperation,
    operation_version: OperationVersion,
    status_code: StatusCode,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Message>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_discovery_id: Option<DeviceDiscoveryId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connector_device_id: Option<ConnectorDeviceId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<TraceId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    devices: Option<Vec<Device>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    matter_endpoint: Option<MatterEndpoint>,
}

impl SendConnectorEvent {
    fn new(connector: ConnectorId, user: UserId, operation: EventOperation) -> Self {
        Self {
            connector,
            body: Body {
                user_id: user,
                operation,
                operation_version: OperationVersion::current(),
                status_code: StatusCode::OK,
                message: None,
                device_discovery_id: None,
                connector_device_id: None,
                trace_id: None,
                devices: None,
                matter_endpoint: None,
            },
        }
    }

    /// `DEVICE_DISCOVERY`: the devices of a user, or some of them. The model sets no greatest number.
    #[must_use]
    pub fn discovery(
        connector: ConnectorId,
        user: UserId,
        discovery: DeviceDiscoveryId,
        devices: Vec<Device>,
    ) -> Self {
        let mut event = Self::new(connector, user, EventOperation::DeviceDiscovery);
        event.body.device_discovery_id = Some(discovery);
        event.body.devices = Some(devices);
        event
    }

    /// `DEVICE_DISCOVERY` without a list: why there is none.
    #[must_use]
    pub fn discovery_failed(
        connector: ConnectorId,
        user: UserId,
        discovery: DeviceDiscoveryId,
        status: StatusCode,
        message: Message,
    ) -> Self {
        let mut event = Self::new(connector, user, EventOperation::DeviceDiscovery);
        event.body.device_discovery_id = Some(discovery);
        event.body.status_code = status;
        event.body.message = Some(message);
        event
    }

    /// `DEVICE_COMMAND_RESPONSE`: what became of the commands to one endpoint.
    #[must_use]
    pub fn command_response(
        connector: ConnectorId,
        user: UserId,
        device: ConnectorDeviceId,
        trace: TraceId,
        status: StatusCode,
        endpoint: MatterEndpoint,
    ) -> Self {
        let mut event = Self::new(connector, user, EventOperation::DeviceCommandResponse);
        event.body.connector_device_id = Some(device);
        event.body.trace_id = Some(trace);
        event.body.status_code = status;
        event.body.matter_endpoint = Some(endpoint);
        event
    }

    /// `DEVICE_COMMAND_RESPONSE` without an endpoint: why no command reached the device.
    #[must_use]
    pub fn command_failed(
        connector: ConnectorId,
        user: UserId,
        device: ConnectorDeviceId,
        trace: TraceId,
        status: StatusCode,
        message: Message,
    ) -> Self {
        let mut event = Self::new(connector, user, EventOperation::DeviceCommandResponse);
        event.body.connector_device_id = Some(device);
        event.body.trace_id = Some(trace);
        event.body.status_code = status;
        event.body.message = Some(message);
        event
    }

    /// `DEVICE_EVENT`: the new state of one endpoint.
    #[must_use]
    pub fn device_event(
        connector: ConnectorId,
        user: UserId,
        device: ConnectorDeviceId,
        endpoint: MatterEndpoint,
    ) -> Self {
        let mut event = Self::new(connector, user, EventOperation::DeviceEvent);
        event.body.connector_device_id = Some(device);
        event.body.matter_endpoint = Some(endpoint);
        event
    }

    /// The same with a sentence for people.
    #[must_use]
    pub fn with_message(mut self, message: Message) -> Self {
        self.body.message = Some(message);
        self
    }

    /// The connector.
    #[must_use]
    pub fn connector(&self) -> &ConnectorId {
        &self.connector
    }

    /// Whom it is about.
    #[must_use]
    pub fn user(&self) -> &UserId {
        &self.body.user_id
    }

    /// What it is about.
    #[must_use]
    pub fn operation(&self) -> EventOperation {
        self.body.operation
    }

    /// How it went.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.body.status_code
    }

    /// The command that it answers.
    #[must_use]
    pub fn trace(&self) -> Option<&TraceId> {
        self.body.trace_id.as_ref()
    }

    /// The discovery that it answers.
    #[must_use]
    pub fn discovery_id(&self) -> Option<&DeviceDiscoveryId> {
        self.body.device_discovery_id.as_ref()
    }

    /// The devices of a discovery.
    #[must_use]
    pub fn devices(&self) -> &[Device] {
        self.body.devices.as_deref().unwrap_or_default()
    }

    /// The endpoint of a response or event.
    #[must_use]
    pub fn endpoint(&self) -> Option<&MatterEndpoint> {
        self.body.matter_endpoint.as_ref()
    }

    /// The body of the call, all members but the connector's id, which is in the path.
    #[must_use]
    pub fn to_json(&self) -> Bytes {
        // Every map in it has texts as keys.
        serde_json::to_vec(&self.body)
            .map(Bytes::from)
            .unwrap_or_default()
    }

    /// The call, to be signed: `POST /connector-event/{ConnectorId}` at the API of a region, such as
    /// `https://api.iotmanagedintegrations.eu-west-1.amazonaws.com`. The answer is 202.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidUrl`] when `api` has no scheme and host, or more than those.
    pub fn to_request(&self, api: &Uri) -> Result<Request<Bytes>, Error> {
        let (Some(scheme), Some(authority)) = (api.scheme(), api.authority()) else {
            return Err(ErrorKind::InvalidUrl.into());
        };
        if api.path() != "/" || api.query().is_some() {
            return Err(ErrorKind::InvalidUrl.into());
        }
        // No character of the id is special in a path.
        let uri = Uri::builder()
            .scheme(scheme.clone())
            .authority(authority.clone())
            .path_and_query(format!("/connector-event/{}", self.connector))
            .build()
            .map_err(|error| Error::new(ErrorKind::InvalidUrl, error))?;
        let mut request = Request::new(self.to_json());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        request.headers_mut().insert(
            header::CONTENT_TYPE,
            http::HeaderValue::from_static("application/json"),
        );
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::managed_integrations::id::{AttributeId, ClusterId, CommandId};
    use crate::managed_integrations::value::Value;

    #[test]
    fn a_device_event_is_written_as_documented() {
        let fan = MatterCluster::new(ClusterId::new(0x0202))
            .with_attributes([(AttributeId::new(0), Value::from(3))])
            .unwrap();
        let endpoint = MatterEndpoint::new("1".parse().unwrap(), vec![fan]).unwrap();
        let event = SendConnectorEvent::device_event(
            "c-1".parse().unwrap(),
            "user-1".parse().unwrap(),
            "fan-1".parse().unwrap(),
            endpoint,
        )
        .with_message("None".parse().unwrap());
        assert_eq!(
            event.to_json(),
            concat!(
                r#"{"UserId":"user-1","Operation":"DEVICE_EVENT","OperationVersion":"1.0","StatusCode":200,"#,
                r#""Message":"None","ConnectorDeviceId":"fan-1","#,
                r#""MatterEndpoint":{"id":"1","clusters":[{"id":"0x0202","attributes":{"0x0000":3}}]}}"#
            )
        );
    }

    #[test]
    fn the_call_names_the_connector_in_its_path() {
        let event = SendConnectorEvent::discovery(
            "c-1".parse().unwrap(),
            "user-1".parse().unwrap(),
            "d1".parse().unwrap(),
            Vec::new(),
        );
        let api = "https://api.iotmanagedintegrations.eu-west-1.amazonaws.com";
        let request = event.to_request(&api.parse().unwrap()).unwrap();
        assert_eq!(
            request.uri().to_string(),
            format!("{api}/connector-event/c-1")
        );
        assert_eq!(request.method(), Method::POST);
        assert_eq!(
            request.body(),
            r#"{"UserId":"user-1","Operation":"DEVICE_DISCOVERY","OperationVersion":"1.0","StatusCode":200,"DeviceDiscoveryId":"d1","Devices":[]}"#
        );
        for api in ["/", "https://a.example/x", "https://a.example/?x"] {
            let error = event.to_request(&api.parse().unwrap()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidUrl);
        }
    }

    #[test]
    fn endpoints_and_clusters_outside_of_the_model_cannot_be_built() {
        let cluster = || MatterCluster::new(ClusterId::new(6));
        let endpoint = |clusters| MatterEndpoint::new("1".parse().unwrap(), clusters);
        assert_eq!(
            endpoint(vec![]).unwrap_err().kind(),
            ErrorKind::InvalidEvent
        );
        assert_eq!(
            endpoint(vec![cluster(); 6]).unwrap_err().kind(),
            ErrorKind::Full
        );
        let different = (0..5)
            .map(|id| MatterCluster::new(ClusterId::new(id)))
            .collect();
        assert!(endpoint(different).is_ok());
        assert_eq!(
            endpoint(vec![cluster(), cluster()]).unwrap_err().kind(),
            ErrorKind::InvalidEvent
        );
        let commands = |count| (0..count).map(|id| (CommandId::new(id), Value::Null));
        let with = |count| cluster().with_commands(commands(count)).map(|_| ());
        assert_eq!(with(0).unwrap_err().kind(), ErrorKind::InvalidEvent);
        assert!(with(5).is_ok());
        assert_eq!(with(6).unwrap_err().kind(), ErrorKind::Full);
    }
}
