//! What the story asks over HTTP: the client-side cloud's commands, the interface, the cloud's figures.

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use serde_json::Value;

use super::Story;
use crate::error::Error;

impl Story {
    /// Calls the control interface of the client-side cloud; the body is JSON both ways.
    pub(crate) async fn control(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<(StatusCode, Value), Error> {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://127.0.0.1:{}{path}", self.ports.control))
            .header("content-type", "application/json")
            .body(Bytes::from(
                body.map(|body| body.to_string()).unwrap_or_default(),
            ))
            .map_err(|cause| Error::new("the request cannot be made", cause))?;
        let response = self.http()?.send(request).await?;
        let value = serde_json::from_slice(response.body()).unwrap_or_else(|_| {
            Value::String(String::from_utf8_lossy(response.body()).into_owned())
        });
        Ok((response.status(), value))
    }

    /// Calls the device-side cloud's interface with a bearer token.
    pub(crate) async fn uci(
        &self,
        method: Method,
        path: &str,
        token: &str,
        accept: &str,
        body: Option<(&str, &str)>,
    ) -> Result<Response<Bytes>, Error> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}/api/v1{path}", self.cloud_url()))
            .header("authorization", format!("Bearer {token}"))
            .header("accept", accept);
        if let Some((content_type, _)) = body {
            request = request.header("content-type", content_type);
        }
        let request = request
            .body(Bytes::from(
                body.map(|(_, text)| text.to_owned()).unwrap_or_default(),
            ))
            .map_err(|cause| Error::new("the request cannot be made", cause))?;
        self.http()?.send(request).await
    }

    /// Lists the devices with a bearer token.
    pub(crate) async fn list_devices(&self, token: &str) -> Result<Response<Bytes>, Error> {
        self.uci(Method::GET, "/devices", token, "application/json", None)
            .await
    }

    /// How many attempts to deliver a notification ended so, by the cloud's figures since it was started.
    pub(crate) async fn deliveries(&self, outcome: &str) -> Result<u64, Error> {
        let request = Request::builder()
            .uri(format!(
                "http://127.0.0.1:{}/metrics",
                self.ports.monitoring
            ))
            .body(Bytes::new())
            .map_err(|cause| Error::new("the request cannot be made", cause))?;
        let response = self.http()?.send(request).await?;
        let text = String::from_utf8_lossy(response.body()).into_owned();
        let name = format!("device_cloud_deliveries_total{{outcome=\"{outcome}\"}} ");
        // Absent until there is one.
        Ok(text
            .lines()
            .find_map(|line| line.strip_prefix(&name)?.parse().ok())
            .unwrap_or_default())
    }
}
