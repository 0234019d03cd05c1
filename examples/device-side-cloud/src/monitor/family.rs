//! Counters and histograms with labels, and the text exposition format of Prometheus.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The value of a label: a word of this program or a number. No id of a person, a client or a device can become one.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Label {
    /// One of the words in this program's text; without quotes, backslashes and line ends.
    Word(&'static str),
    /// A status code.
    Number(u16),
}

/// The upper ends of the buckets of every histogram.
const BOUNDS: [Duration; 14] = [
    Duration::from_micros(250),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(2500),
    Duration::from_secs(10),
];

/// A name, what it means, and a value for each set of labels.
#[derive(Debug)]
pub(crate) struct Family<V, const N: usize> {
    name: &'static str,
    help: &'static str,
    labels: [&'static str; N],
    values: Mutex<BTreeMap<[Label; N], V>>,
}

/// Numbers that only grow.
pub(crate) type Counters<const N: usize> = Family<u64, N>;
/// How long things took.
pub(crate) type Histograms<const N: usize> = Family<Histogram, N>;

impl<V, const N: usize> Family<V, N> {
    /// A family in which nothing was counted yet.
    pub(crate) const fn new(
        name: &'static str,
        help: &'static str,
        labels: [&'static str; N],
    ) -> Self {
        Self {
            name,
            help,
            labels,
            values: Mutex::new(BTreeMap::new()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<[Label; N], V>> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<const N: usize> Counters<N> {
    /// Counts one.
    pub(crate) fn add(&self, labels: [Label; N]) {
        let mut values = self.lock();
        let value = values.entry(labels).or_default();
        *value = value.saturating_add(1);
    }

    /// Appends the family in the exposition format.
    pub(crate) fn write(&self, out: &mut String) {
        head(out, self.name, self.help, "counter");
        for (labels, value) in &*self.lock() {
            line(out, self.name, "", &pairs(&self.labels, labels), value);
        }
    }
}

/// How many took how long.
#[derive(Clone, Debug, Default)]
pub(crate) struct Histogram {
    /// By the first bound that is not exceeded.
    buckets: [u64; BOUNDS.len()],
    count: u64,
    sum: Duration,
}

impl<const N: usize> Histograms<N> {
    /// Takes one measurement in.
    pub(crate) fn observe(&self, labels: [Label; N], took: Duration) {
        let mut values = self.lock();
        let histogram = values.entry(labels).or_default();
        let bounds = histogram.buckets.iter_mut().zip(BOUNDS);
        if let Some((bucket, _)) = bounds.into_iter().find(|(_, bound)| took <= *bound) {
            *bucket = bucket.saturating_add(1);
        }
        histogram.count = histogram.count.saturating_add(1);
        histogram.sum = histogram.sum.saturating_add(took);
    }

    /// Appends the family in the exposition format.
    pub(crate) fn write(&self, out: &mut String) {
        head(out, self.name, self.help, "histogram");
        for (labels, histogram) in &*self.lock() {
            let pairs = pairs(&self.labels, labels);
            // A bucket counts all that is below its bound, those of the smaller ones too.
            let mut below = 0_u64;
            for (bucket, bound) in histogram.buckets.iter().zip(BOUNDS) {
                below = below.saturating_add(*bucket);
                let mut pairs = pairs.clone();
                pairs.push(("le", bound.as_secs_f64().to_string()));
                line(out, self.name, "_bucket", &pairs, below);
            }
            let mut all = pairs.clone();
            all.push(("le", "+Inf".to_owned()));
            line(out, self.name, "_bucket", &all, histogram.count);
            line(out, self.name, "_sum", &pairs, histogram.sum.as_secs_f64());
            line(out, self.name, "_count", &pairs, histogram.count);
        }
    }
}

/// Appends a family that is counted elsewhere: a value for each word, or number, of one label.
pub(crate) fn write_counted<W: Display, V: Display>(
    out: &mut String,
    (name, help, kind): (&str, &str, &str),
    label: &'static str,
    values: &[(W, V)],
) {
    head(out, name, help, kind);
    for (word, value) in values {
        line(out, name, "", &[(label, word.to_string())], value);
    }
}

/// Appends a value that goes up and down.
pub(crate) fn write_gauge(out: &mut String, name: &str, help: &str, value: usize) {
    head(out, name, help, "gauge");
    line(out, name, "", &[], value);
}

type Pairs = Vec<(&'static str, String)>;

fn pairs<const N: usize>(names: &[&'static str; N], values: &[Label; N]) -> Pairs {
    let text = |label: &Label| match label {
        Label::Word(word) => (*word).to_owned(),
        Label::Number(number) => number.to_string(),
    };
    names.iter().copied().zip(values.iter().map(text)).collect()
}

fn head(out: &mut String, name: &str, help: &str, kind: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn line(
    out: &mut String,
    name: &str,
    suffix: &str,
    pairs: &[(&'static str, String)],
    value: impl Display,
) {
    out.push_str(name);
    out.push_str(suffix);
    for (index, (name, value)) in pairs.iter().enumerate() {
        let before = if index == 0 { '{' } else { ',' };
        let _ = write!(out, "{before}{name}=\"{value}\"");
    }
    if !pairs.is_empty() {
        out.push('}');
    }
    let _ = writeln!(out, " {value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_written_with_their_labels() {
        let family = Counters::new("answers_total", "Answers.", ["route", "status"]);
        for status in [200, 404, 200] {
            family.add([Label::Word("/devices"), Label::Number(status)]);
        }
        let mut text = String::new();
        family.write(&mut text);
        assert_eq!(
            text,
            "# HELP answers_total Answers.\n# TYPE answers_total counter\n\
             answers_total{route=\"/devices\",status=\"200\"} 2\n\
             answers_total{route=\"/devices\",status=\"404\"} 1\n"
        );
    }

    #[test]
    fn a_bucket_counts_what_the_smaller_ones_count() {
        let family = Histograms::new("wait_seconds", "Waits.", []);
        for millis in [1, 2, 30_000] {
            family.observe([], Duration::from_millis(millis));
        }
        let mut text = String::new();
        family.write(&mut text);
        for expected in [
            "wait_seconds_bucket{le=\"0.0005\"} 0\n",
            "wait_seconds_bucket{le=\"0.001\"} 1\n",
            "wait_seconds_bucket{le=\"0.0025\"} 2\n",
            "wait_seconds_bucket{le=\"10\"} 2\n",
            "wait_seconds_bucket{le=\"+Inf\"} 3\n",
            "wait_seconds_sum 30.003\n",
            "wait_seconds_count 3\n",
        ] {
            assert!(text.contains(expected), "no {expected} in {text}");
        }
    }
}
