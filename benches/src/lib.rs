//! Inputs of the benchmarks: what a device-side cloud carries, in three sizes.

pub mod durable;
pub mod sbs;
pub mod signing;

/// Sizes by name: one light, a home of ten devices, a building of two hundred.
pub const SIZES: [(&str, usize); 3] = [("light", 1), ("home", 10), ("building", 200)];

/// A representation as a light reports it, JSON.
pub const REPRESENTATION: &str = r#"{"rt":["core.light"],"if":["oic.if.rw","oic.if.baseline"],"state":true,"power":75,"name":"kitchen"}"#;

/// The answer to `GET /devices?content=all` for so many devices of four resources each, JSON.
#[must_use]
pub fn devices(count: usize) -> String {
    let devices: Vec<String> = (0..count).map(device).collect();
    format!("[{}]", devices.join(","))
}

fn device(number: usize) -> String {
    let di = format!("00000000-0000-4000-8000-{number:012x}");
    let resources: Vec<String> = ["oic/d", "oic/p", "light/1", "thermostat/temperature"]
        .iter()
        .map(|path| format!(r#"{{"href":"/{di}/{path}","rep":{REPRESENTATION}}}"#))
        .collect();
    format!(
        r#"{{"device":{{"di":"{di}","n":"Device {number}","rt":["oic.wk.d","oic.d.light"]}},"status":"online","links":[{}]}}"#,
        resources.join(",")
    )
}

/// The front page of the repository, whose example must run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct FrontPage;
