//! The time in which things happen and go wrong.

use std::time::Duration;

use super::faults::Faults;
use super::{Process, World};

const ACTIONS: u64 = 60;

impl World {
    /// Things happen, and go wrong at the rates of the seed.
    pub fn turmoil(&mut self) {
        self.faults = Faults::of(&mut self.dice);
        let faults = self.faults;
        self.trace.line(self.elapsed, format_args!("{faults:?}"));
        for _ in 0..ACTIONS {
            self.act();
            let at_most = self.dice.pick(&[20, 500, 3_000, 3_000, 100_000]);
            let until_next = self.dice.milliseconds(0, at_most);
            self.pass(until_next);
            for link in 0..self.links.len() {
                self.check_mirror_is_own(link);
            }
        }
    }

    fn act(&mut self) {
        if self.dice.one_in(self.faults.clock) {
            self.step_clock();
        }
        if self.faults.crash != 0 && self.dice.one_in(20) {
            let processes = 1 + self.links.len();
            let process = match self.dice.index(processes) {
                0 => Process::Server,
                link => Process::Link(link - 1),
            };
            if self.is_up(process) {
                self.crash(process);
            }
        }
        match self.dice.roll(10) {
            0..=5 => {
                let device = self.dice.index(self.devices.len());
                self.stir_device(device);
            }
            6..=8 => {
                let link = self.dice.index(self.links.len());
                self.stir_link(link);
            }
            _ => {
                let link = self.dice.index(self.links.len());
                if self.links[link].linked && self.dice.one_in(3) {
                    self.withdraw_consent(link);
                }
            }
        }
    }

    fn is_up(&self, process: Process) -> bool {
        match process {
            Process::Server => self.server.machine.is_some(),
            Process::Link(link) => self.links[link].machine.is_some(),
        }
    }

    fn step_clock(&mut self) {
        let step = self.dice.pick(&[0, 0, -30, 30, -4_000, 4_000]);
        match self.dice.index(1 + self.links.len()) {
            0 => self.server.clock_step = step,
            link => self.links[link - 1].clock_step = step,
        }
    }

    /// From here on everything works, and every clock is right.
    pub fn calm(&mut self) {
        self.faults = Faults::default();
        self.server.clock_step = 0;
        for link in &mut self.links {
            link.clock_step = 0;
        }
        self.trace.line(self.elapsed, format_args!("calm"));
        self.pass(Duration::from_secs(3_600));
    }
}
