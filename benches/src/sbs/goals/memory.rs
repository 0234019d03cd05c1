//! Memory for each device with all accounts loaded, as the system counts it: in a process of its own, so that nothing else is in it.

use std::hint::black_box;

use crate::sbs::goals::{process, scale};
use bench_harness::{Limit, Run};

/// The bytes that a device may take.
const ALLOWED: f64 = 600.0;

pub(super) fn memory(run: &mut Run) {
    let many = run.scaled(100_000, 10);
    let ours = of_process("ours", many);
    run.row(
        "1,000,000 devices of 5 links, at most 600 B",
        "B",
        (ours, ALLOWED),
        Limit::AtMost(1.0),
    );
    let fewer = of_process("ours", many / 10);
    run.row(
        "1,000,000 devices and 100,000",
        "B",
        (ours, fewer),
        Limit::AtMost(1.05),
    );
    let naive = of_process("plain", many / 10);
    run.row(
        "the same content in plain strings and vectors",
        "B",
        (ours, naive),
        Limit::AtMost(ALLOWED / 2812.0),
    );
}

/// What a device takes in a process that holds so many accounts.
pub(super) fn of_process(layout: &str, accounts: usize) -> f64 {
    process::measured(&["--memory", layout, &accounts.to_string()])
}

/// Fills this process and prints what each device takes: resident memory after, less that before.
pub(in crate::sbs) fn measure(layout: &str, accounts: usize) {
    let before = resident();
    let mut devices = accounts * scale::EACH;
    let after = match layout {
        "owing a little" | "owing a lot" => {
            devices = accounts;
            let changes = if layout == "owing a lot" { 400 } else { 4 };
            let world = black_box(scale::owing(accounts, changes));
            let after = resident();
            drop(world);
            after
        }
        "ours" => {
            let world = black_box(scale::populated(accounts));
            let after = resident();
            drop(world);
            after
        }
        _ => {
            let lists: Vec<Vec<Plain>> = (0..accounts).map(plain_account).collect();
            let after = resident();
            drop(black_box(lists));
            after
        }
    };
    println!("{}", (after - before) as f64 / devices as f64);
}

/// Resident bytes of this process.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").expect("Linux");
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.expect("a number") * 1024
}

/// A device without any thought given to memory.
#[expect(dead_code, reason = "it is held, not read")]
struct Plain {
    id: String,
    name: String,
    types: Vec<String>,
    manufacturer: Vec<(String, String)>,
    online: bool,
    links: Vec<PlainLink>,
}

#[expect(dead_code, reason = "it is held, not read")]
struct PlainLink {
    href: String,
    types: Vec<String>,
    interfaces: Vec<String>,
    policy: u64,
    anchor: Option<String>,
}

fn plain_account(account: usize) -> Vec<Plain> {
    (0..scale::EACH)
        .map(|number| plain(account * scale::EACH + number))
        .collect()
}

fn plain(number: usize) -> Plain {
    let properties = crate::sbs::fixtures::properties(number);
    let links = crate::sbs::fixtures::links(number, scale::LINKS);
    Plain {
        id: properties.device_id.to_string(),
        name: properties.name,
        types: properties
            .resource_types
            .iter()
            .map(ToString::to_string)
            .collect(),
        manufacturer: properties
            .manufacturer_name
            .into_iter()
            .map(|text| (text.language, text.value))
            .collect(),
        online: true,
        links: links
            .iter()
            .map(|link| PlainLink {
                href: link.href.to_string(),
                types: link
                    .resource_types
                    .iter()
                    .map(ToString::to_string)
                    .collect(),
                interfaces: link.interfaces.iter().map(ToString::to_string).collect(),
                policy: link.policy.bits,
                anchor: None,
            })
            .collect(),
    }
}
