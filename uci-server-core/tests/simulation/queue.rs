//! What is going to happen, in the order of its time.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::time::Duration;

/// Happenings at the same time come out as they were put in.
pub struct Queue<T> {
    heap: BinaryHeap<Reverse<Entry<T>>>,
    number: u64,
}

struct Entry<T> {
    at: Duration,
    number: u64,
    /// Behind a pointer: entries change places often.
    what: Box<T>,
}

impl<T> Queue<T> {
    pub fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            number: 0,
        }
    }

    pub fn put(&mut self, at: Duration, what: T) {
        self.number += 1;
        let number = self.number;
        let what = Box::new(what);
        self.heap.push(Reverse(Entry { at, number, what }));
    }

    pub fn next_at(&self) -> Option<Duration> {
        self.heap.peek().map(|Reverse(entry)| entry.at)
    }

    pub fn take(&mut self) -> Option<(Duration, T)> {
        self.heap
            .pop()
            .map(|Reverse(entry)| (entry.at, *entry.what))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Entry<T> {}
