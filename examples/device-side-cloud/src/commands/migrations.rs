//! The commands for devices that are moved, as requests of the HTTPS interface.

use serde_json::{Value, json};

use super::request as of;
use crate::args::{ConfigFile, MigrationRequest as Wanted};
use crate::provisioning::Order;

/// A device is to go somewhere; `place` is the member that says where.
pub(super) fn plan(tenant: String, device: &str, place: &str, to: &str, hours: u32) -> Order {
    let body = json!({"device_id": device, place: to, "hours": hours});
    of(tenant, "POST", "migrations".to_owned(), body)
}

pub(super) fn request(command: Wanted) -> (ConfigFile, Order) {
    match command {
        Wanted::List {
            tenant,
            open,
            marker,
            file,
        } => {
            // A marker is of hexadecimal digits; another is refused.
            let marker = marker.map_or_else(String::new, |marker| format!("&marker={marker}"));
            let path = format!("migrations?limit=50&open={open}{marker}");
            (file, of(tenant, "GET", path, Value::Null))
        }
        Wanted::Show {
            tenant,
            device,
            file,
        } => {
            let path = format!("migrations/{device}");
            (file, of(tenant, "GET", path, Value::Null))
        }
        Wanted::Abort {
            tenant,
            device,
            without: None,
            file,
        } => {
            let path = format!("migrations/{device}");
            (file, of(tenant, "DELETE", path, Value::Null))
        }
        Wanted::Abort {
            tenant,
            device,
            without: Some(instance),
            file,
        } => {
            let path = format!("migrations/{device}/end");
            let body = json!({ "without": instance });
            (file, of(tenant, "POST", path, body))
        }
        Wanted::LetGo {
            tenant,
            device,
            file,
        } => {
            let path = format!("migrations/{device}/let-go");
            (file, of(tenant, "POST", path, Value::Null))
        }
    }
}
