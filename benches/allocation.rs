//! What a decision costs at 10, 1,000 and 10,000 access points, and at how many times the cost of the fewest, beside finding one of
//! as many whose id is known in a `HashMap`: what reading the record costs that the answer comes from.
#![allow(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::expect_used,
    clippy::print_stderr
)]

use std::collections::{BTreeMap, HashMap};
use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use provisioning_proto::allocation::{
    AccessPoint, AccessPoints, AllocationInput, AllocationPolicy, Decision, Keyword, KeywordSource,
    Policies, Priority, Rule, Selection, Setting, Target, decide,
};
use provisioning_proto::{AccessPointId, PolicyId, RegistrationId};

const SIZES: [usize; 3] = [10, 1000, 10_000];
const DEVICES: usize = 5000;

fn access_point(number: usize) -> AccessPointId {
    format!("ap-{number}").parse().expect("an id")
}

fn policy(number: usize) -> PolicyId {
    format!("p-{number}").parse().expect("an id")
}

fn access_points(count: usize) -> AccessPoints {
    let point = |number| AccessPoint::new(access_point(number), "An access point");
    (0..count).map(point).collect::<Vec<_>>().into()
}

/// A keyword for each access point, none within another.
fn keywords(count: usize) -> Policies {
    let rule = |number: usize| Rule::Static {
        keyword: Keyword::new(format!("city{number:05}")).expect("a keyword"),
        priority: Priority::new(2).expect("a priority"),
        source: KeywordSource::DeviceName,
        target: Target::new(access_point(number), None),
    };
    let policy = |number| AllocationPolicy::new(policy(number), 0, rule(number));
    (0..count).map(policy).collect::<Vec<_>>().into()
}

fn hashed() -> Policies {
    let rule = Rule::Hashed {
        weights: BTreeMap::new(),
        application: None,
    };
    vec![AllocationPolicy::new(policy(0), 0, rule)].into()
}

fn decisions(c: &mut Criterion) {
    // Many devices, so that no decision finds what it needs in a cache because the one before was the same.
    let ids: Vec<RegistrationId> = (0..DEVICES)
        .map(|n| {
            format!("meter-city{:05}-{n}", n % 10)
                .parse()
                .expect("an id")
        })
        .collect();
    for (name, policies) in [
        ("static", keywords as fn(usize) -> Policies),
        ("hashed", |_| hashed()),
    ] {
        let mut group = c.benchmark_group(format!("decide {name}"));
        let mut least = None;
        for size in SIZES {
            let (points, policies) = (access_points(size), policies(size));
            let setting = Setting::new(&points, &policies);
            let mut devices = ids.iter().cycle();
            let mut run = || {
                let id = devices.next().expect("a device");
                let input = AllocationInput::new(id, id.as_str());
                decide(black_box(&input), &Selection::All, &setting)
            };
            assert!(matches!(run(), Decision::Assign { .. }));
            group.bench_function(BenchmarkId::from_parameter(size), |b| b.iter(&mut run));
            compare(
                &format!("decide {name}/{size}"),
                median(&mut run),
                &mut least,
            );
        }
        group.finish();
    }
}

/// The median of 101 rounds.
fn median<T>(mut run: impl FnMut() -> T) -> Duration {
    let mut rounds: Vec<Duration> = (0..101)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..20 {
                black_box(run());
            }
            start.elapsed() / 20
        })
        .collect();
    rounds.sort_unstable();
    rounds.get(rounds.len() / 2).copied().unwrap_or_default()
}

/// The same devices, each with an access point that is known beforehand.
fn look_ups(c: &mut Criterion) {
    let mut group = c.benchmark_group("look up");
    let mut least = None;
    for size in SIZES {
        let points: HashMap<String, AccessPoint> = access_points(size)
            .all()
            .values()
            .map(|point| (point.id.as_str().to_owned(), (**point).clone()))
            .collect();
        // Far from each other, and no more of them than there are devices.
        let known: Vec<_> = (0..DEVICES)
            .map(|n| access_point(n * 7919 % size))
            .collect();
        let mut devices = known.iter().cycle();
        let mut run = || {
            let point = points.get(devices.next().expect("a device").as_str());
            point.map(|point| (point.accepts_new, point.id.clone()))
        };
        assert!(run().is_some());
        group.bench_function(BenchmarkId::from_parameter(size), |b| b.iter(&mut run));
        compare(&format!("look up/{size}"), median(&mut run), &mut least);
    }
    group.finish();
}

fn compare(what: &str, cost: Duration, least: &mut Option<Duration>) {
    let fewest = *least.get_or_insert(cost);
    let ratio = cost.as_secs_f64() / fewest.as_secs_f64();
    eprintln!("{what}: {cost:?}, {ratio:.2} times that of {}", SIZES[0]);
}

criterion_group!(allocation, decisions, look_ups);
criterion_main!(allocation);
