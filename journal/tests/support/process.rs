//! A process that works on a journal until it is killed, and those who listen to it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::print_stdout
)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::channel;

use journal::{Embedded, Journal, Writer, WriterConfig};

use crate::workload::{Actor, Work, perform, work};

const ACTORS: u64 = 12;
/// These go past the writer thread, as a second writer of the same store.
const DIRECT: u64 = 3;

const FILE: &str = "JOURNAL_UNDER_TEST";
const DONE: &str = "JOURNAL_STEPS_DONE";

pub(crate) fn actors() -> Vec<Actor> {
    (0..ACTORS).map(Actor::new).collect()
}

/// What the test program does when it is the process under test: works until it is killed.
///
/// Says whether it was.
pub(crate) fn work_if_told_to() -> bool {
    let (Some(path), Some(done)) = (std::env::var_os(FILE), std::env::var_os(DONE)) else {
        return false;
    };
    let done = done.into_string().unwrap();
    let journal: Arc<dyn Journal> = Arc::new(Embedded::open(path).unwrap());
    let writer = Writer::start(Arc::clone(&journal), WriterConfig::default()).unwrap();
    std::thread::scope(|scope| {
        for (number, done) in (0..).zip(done.split(',')) {
            let done: u64 = done.parse().unwrap();
            let (journal, writer) = (&*journal, &writer);
            scope.spawn(move || {
                for step in done.. {
                    let work = work(number, step);
                    if number < DIRECT {
                        perform(journal, &work).unwrap();
                    } else {
                        hand_over(writer, work);
                    }
                    println!("\ndone {number} {step}");
                }
            });
        }
    });
    true
}

fn hand_over(writer: &Writer, work: Work) {
    let (tell, told) = channel();
    if let Work::Append(append) = work {
        writer.append(append, move |answer| tell.send(answer.map(Some)).unwrap());
    } else {
        writer.call(move |journal| {
            let journal = journal.unwrap();
            tell.send(perform(journal, &work)).unwrap();
        });
    }
    told.recv().unwrap().unwrap();
}

/// Starts the process, kills it after so many acknowledgements, and takes in what it said until its end.
///
/// `test` is the test of this program that calls [`work_if_told_to`].
pub(crate) fn kill_after(enough: u64, test: &str, path: &Path, actors: &mut [Actor]) {
    let done: Vec<_> = actors
        .iter()
        .map(|actor| actor.done().to_string())
        .collect();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(FILE, path)
        .env(DONE, done.join(","))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let mut heard = 0;
    for line in output.lines() {
        let Some((number, step)) = acknowledgement(&line.unwrap()) else {
            continue;
        };
        let actor = &mut actors[number];
        assert_eq!(step, actor.done(), "actor {number} left a step out");
        actor.acknowledge();
        heard += 1;
        // What the child still had in its pipe was acknowledged too, so reading goes on to the end.
        if heard == enough {
            child.kill().unwrap();
        }
    }
    assert!(!child.wait().unwrap().success());
    assert!(heard >= enough, "it ended by itself after {heard}");
}

fn acknowledgement(line: &str) -> Option<(usize, u64)> {
    let (actor, step) = line.strip_prefix("done ")?.split_once(' ')?;
    Some((actor.parse().ok()?, step.parse().ok()?))
}
