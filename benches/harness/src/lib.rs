//! Goals side by side: each measures this family and a reference in the same run, interleaved, and compares medians.
//!
//! What counts is the ratio: both sides see the same machine, the same input and the same neighbors.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "figures go to the terminal"
)]

pub mod clock;

use std::process::ExitCode;

/// How long one round of a case of plain computing takes, in CPU nanoseconds.
const ROUND: u64 = 60_000_000;

/// Something to be compared.
#[expect(clippy::exhaustive_structs, reason = "programs list their goals")]
#[derive(Debug)]
pub struct Goal {
    /// How it is asked for.
    pub name: &'static str,
    /// What is measured.
    pub what: &'static str,
    /// Measures it.
    pub measure: fn(&mut Run),
}

/// Runs the goals that are named, or all of them, and prints the table.
///
/// With `--smoke` every goal runs for a moment only: it is seen to work, no figure is taken and nothing can fail.
pub fn main(goals: &[Goal], arguments: impl IntoIterator<Item = String>) -> ExitCode {
    let (flags, names): (Vec<String>, Vec<String>) = arguments
        .into_iter()
        .partition(|argument| argument.starts_with("--"));
    let smoke = flags.iter().any(|flag| flag == "--smoke");
    if let Some(unknown) = flags.iter().find(|flag| *flag != "--smoke") {
        eprintln!("unknown option {unknown}");
        return ExitCode::from(2);
    }
    if let Some(unknown) = names
        .iter()
        .find(|name| !goals.iter().any(|goal| goal.name == name.as_str()))
    {
        eprintln!("unknown goal {unknown}; there are:");
        for goal in goals {
            eprintln!("  {:<14} {}", goal.name, goal.what);
        }
        return ExitCode::from(2);
    }
    let mut run = Run::new(smoke);
    for goal in goals {
        if names.is_empty() || names.iter().any(|name| name == goal.name) {
            run.begin(goal.name);
            (goal.measure)(&mut run);
        }
    }
    run.print_table();
    // A figure is taken to be read; only a run that did not work fails.
    ExitCode::SUCCESS
}

/// One run: how much of everything, and what was found so far.
#[derive(Debug)]
pub struct Run {
    smoke: bool,
    goal: &'static str,
    rows: Vec<Row>,
}

/// One line of the table.
#[derive(Debug)]
struct Row {
    goal: &'static str,
    what: String,
    ours: f64,
    reference: f64,
    unit: &'static str,
    limit: Limit,
}

/// What the ratio of ours to the reference must keep.
#[expect(clippy::exhaustive_enums, reason = "there is no third way")]
#[derive(Clone, Copy, Debug)]
pub enum Limit {
    /// No higher than this.
    AtMost(f64),
    /// No lower than this.
    AtLeast(f64),
}

/// A case: measures one round and says what an operation took.
pub type Case<'a> = Box<dyn FnMut() -> f64 + 'a>;

impl Run {
    fn new(smoke: bool) -> Self {
        Self {
            smoke,
            goal: "",
            rows: Vec::new(),
        }
    }

    /// `full`, or `smoke` when the run is only to see that it works.
    #[must_use]
    pub fn scaled(&self, full: usize, smoke: usize) -> usize {
        if self.smoke { smoke } else { full }
    }

    /// How many rounds a comparison takes.
    #[must_use]
    pub fn rounds(&self) -> usize {
        self.scaled(9, 1)
    }

    fn begin(&mut self, goal: &'static str) {
        self.goal = goal;
        eprintln!("goal {goal}");
    }

    /// What did not become a line of the table.
    pub fn note(&self, text: &str) {
        eprintln!("  {text}");
    }

    /// The medians of the cases, all of them once in each round.
    pub fn medians<const N: usize>(&self, mut cases: [Case<'_>; N]) -> [f64; N] {
        let mut samples: [Vec<f64>; N] = std::array::from_fn(|_| Vec::new());
        for round in 0..self.rounds() {
            // Who goes first changes with each round.
            for step in 0..N {
                let index = (step + round) % N;
                if let (Some(case), Some(samples)) = (cases.get_mut(index), samples.get_mut(index))
                {
                    samples.push(case());
                }
            }
        }
        samples.map(median)
    }

    /// A case of plain computing, in nanoseconds of CPU time for each call.
    pub fn computing<'a>(&self, mut work: impl FnMut() + 'a) -> Case<'a> {
        let count = if self.smoke {
            1
        } else {
            let (mut count, mut taken) = (0_u64, 0);
            let began = clock::process_cpu();
            while taken < ROUND / 4 {
                work();
                count += 1;
                taken = clock::process_cpu() - began;
            }
            (count * ROUND / taken.max(1)).max(1)
        };
        Box::new(move || {
            let began = clock::process_cpu();
            for _ in 0..count {
                work();
            }
            (clock::process_cpu() - began) as f64 / count as f64
        })
    }

    /// Compares two figures of the same unit.
    pub fn row(
        &mut self,
        what: &str,
        unit: &'static str,
        (ours, reference): (f64, f64),
        limit: Limit,
    ) {
        let row = Row {
            goal: self.goal,
            what: what.to_owned(),
            ours,
            reference,
            unit,
            limit,
        };
        eprintln!("  {}", row.line());
        self.rows.push(row);
    }

    fn print_table(&self) {
        if self.smoke {
            println!("every goal that was asked for works; no figure was taken");
            return;
        }
        println!("| goal | what | ours | reference | ratio | limit | |");
        println!("| --- | --- | ---: | ---: | ---: | ---: | --- |");
        for row in &self.rows {
            println!("{}", row.line());
        }
    }
}

impl Row {
    fn ratio(&self) -> f64 {
        self.ours / self.reference
    }

    fn line(&self) -> String {
        let (sign, limit, holds) = match self.limit {
            Limit::AtMost(limit) => ("≤", limit, self.ratio() <= limit),
            Limit::AtLeast(limit) => ("≥", limit, self.ratio() >= limit),
        };
        format!(
            "| {} | {} | {} {} | {} {} | {:.2} | {sign} {limit:.2} | {} |",
            self.goal,
            self.what,
            figure(self.ours),
            self.unit,
            figure(self.reference),
            self.unit,
            self.ratio(),
            if holds { "holds" } else { "**short**" },
        )
    }
}

/// A number with three figures that count.
fn figure(number: f64) -> String {
    match number {
        ..10.0 => format!("{number:.2}"),
        ..100.0 => format!("{number:.1}"),
        _ => format!("{number:.0}"),
    }
}

/// The value in the middle.
#[must_use]
pub fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The value below which `share` of the samples are.
#[must_use]
pub fn quantile(mut samples: Vec<f64>, share: f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    let index = (samples.len() as f64 * share) as usize;
    let last = samples.len().saturating_sub(1);
    samples.get(index.min(last)).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(quantile((0..100).map(f64::from).collect(), 0.99), 99.0);
        assert!(median(vec![]).is_nan());
    }
}
