//! C2 to C10 of the machines, over any run.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use account_linking::UserId;
use account_linking::managed_integrations::connector::{
    CheckFailure, Config, Connector, DeviceFailure, InvocationId, Output, SendFailure, TaskId,
};
use account_linking::managed_integrations::matter::OcfDevice;
use proptest::prelude::*;

use crate::world::{activate, deactivate, discover, lamp, send, user};

const CLUSTERS: &str =
    r#"[{"id":"6","commands":["0x02","0x01"]},{"id":"8","commands":{"0x04":{"0":9}}}]"#;

#[derive(Clone, Debug)]
enum Input {
    Invoke(String),
    Checked(TaskId, Result<UserId, CheckFailure>),
    Revoked(TaskId, Result<Option<UserId>, CheckFailure>),
    Devices(TaskId, Result<Vec<OcfDevice>, DeviceFailure>),
    Device(TaskId, Result<OcfDevice, DeviceFailure>),
    Updated(TaskId, Result<(), DeviceFailure>),
    Sent(TaskId, Result<(), SendFailure>),
    Report,
    Timeout,
}

fn tell(connector: &mut Connector, input: Input, now: Instant) -> Option<InvocationId> {
    match input {
        Input::Invoke(payload) => {
            return Some(connector.handle_invocation(payload.as_bytes(), now));
        }
        Input::Checked(task, result) => connector.handle_checked(task, result, now),
        Input::Revoked(task, result) => connector.handle_revoked(task, result, now),
        Input::Devices(task, result) => connector.handle_devices(task, result, now),
        Input::Device(task, result) => connector.handle_device(task, result, now),
        Input::Updated(task, result) => connector.handle_updated(task, result, now),
        Input::Sent(task, result) => connector.handle_sent(task, result, now),
        Input::Report => drop(connector.report(&user("ann"), &lamp("lamp-1"), "/switch", now)),
        Input::Timeout => {
            connector.handle_timeout(now);
            assert!(connector.next_deadline().is_none_or(|at| at > now), "C5");
        }
    }
    None
}

struct Run {
    connector: Connector,
    now: Instant,
    script: Vec<(Input, Instant)>,
    outputs: Vec<Output>,
    open: VecDeque<Output>,
    answers: BTreeMap<InvocationId, usize>,
    told: Vec<Input>,
}

impl Run {
    fn tell(&mut self, input: Input) {
        self.script.push((input.clone(), self.now));
        if let Some(invocation) = tell(&mut self.connector, input, self.now) {
            self.answers.insert(invocation, 0);
        }
        while let Some(output) = self.connector.poll_output() {
            if let Output::Answer { invocation, .. } = &output {
                let times = self
                    .answers
                    .get_mut(invocation)
                    .expect("C7: an answer to nothing");
                *times += 1;
                assert_eq!(*times, 1, "C7: answered twice");
            } else if !matches!(output, Output::Event(_)) {
                self.open.push_back(output.clone());
            }
            self.outputs.push(output);
        }
        let deadline = self.connector.next_deadline();
        assert!(self.connector.poll_output().is_none());
        assert_eq!(
            self.connector.next_deadline(),
            deadline,
            "C4: looking changes nothing"
        );
    }

    fn step(&mut self, choice: u8, detail: u8) {
        let token = ["ann-1", "ann-2", "bob-1"][usize::from(detail) % 3];
        let number = detail % 4;
        let input = match choice {
            0 => Input::Invoke(activate(token)),
            1 => Input::Invoke(discover(token, &format!("d{number}"))),
            2 | 3 => Input::Invoke(send(token, &format!("t{number}"), CLUSTERS)),
            4 if detail < 60 => Input::Invoke(deactivate(token)),
            4 => Input::Invoke("{".to_owned()),
            5 => Input::Report,
            6 => {
                self.now += Duration::from_millis(u64::from(detail) * u64::from(detail));
                Input::Timeout
            }
            // C8: what was told already is told again.
            7 => match self.told.get(usize::from(detail) % self.told.len().max(1)) {
                Some(input) => input.clone(),
                None => return,
            },
            _ => {
                let Some(output) = self.open.pop_front() else {
                    return;
                };
                let input = result(output, detail);
                self.told.push(input.clone());
                input
            }
        };
        self.tell(input);
    }
}

/// What a driver may answer.
fn result(output: Output, detail: u8) -> Input {
    let device = |good| match detail {
        0..15 => Err(DeviceFailure::Offline),
        15..30 => Err(DeviceFailure::NotFound),
        _ => Ok(good),
    };
    match output {
        Output::Check {
            task,
            authorization,
        } => {
            let name = crate::world::token(&authorization);
            let found = match detail {
                0..15 => Err(CheckFailure::Invalid),
                15..30 => Err(CheckFailure::Unavailable),
                _ => Ok(user(name.split('-').next().unwrap())),
            };
            Input::Checked(task, found)
        }
        Output::Revoke { task, .. } if detail < 30 => {
            Input::Revoked(task, Err(CheckFailure::Unavailable))
        }
        Output::Revoke { task, .. } => Input::Revoked(task, Ok(Some(user("ann")))),
        Output::ListDevices { task, .. } => {
            Input::Devices(task, device(()).map(|()| vec![lamp("lamp-1")]))
        }
        Output::FindDevice { task, .. } => Input::Device(task, device(()).map(|()| lamp("lamp-1"))),
        Output::Update { task, .. } => Input::Updated(task, device(())),
        Output::Send { task, .. } => Input::Sent(
            task,
            match detail {
                0..40 => Err(SendFailure::Later),
                40..50 => Err(SendFailure::Refused),
                _ => Ok(()),
            },
        ),
        Output::Answer { .. } | Output::Event(_) => Input::Timeout,
    }
}

fn config() -> Config {
    let mut config = Config::new("c-1".parse().unwrap());
    config.max_remembered = 8;
    config.max_works = 4;
    config.max_reports = 3;
    config
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_run_keeps_the_contract(steps in prop::collection::vec((0_u8..16, any::<u8>()), 0..200)) {
        #[allow(clippy::disallowed_methods)]
        let begin = Instant::now();
        let mut run = Run {
            connector: Connector::new(config()),
            now: begin,
            script: Vec::new(),
            outputs: Vec::new(),
            open: VecDeque::new(),
            answers: BTreeMap::new(),
            told: Vec::new(),
        };
        for (choice, detail) in steps {
            run.step(choice, detail);
        }
        // C6 and C7: nobody answers any more, and still everything ends and is forgotten.
        for _ in 0..1_000 {
            let Some(at) = run.connector.next_deadline() else { break };
            run.now = run.now.max(at);
            run.tell(Input::Timeout);
        }
        prop_assert_eq!(run.connector.next_deadline(), None);
        prop_assert!(run.answers.values().all(|times| *times == 1), "C7: not answered");
        let left = format!("{:?}", run.connector);
        for empty in ["invocations: {}", "tasks: {}", "works: {}", "requests: {}", "acted: {}", "expiries: []", "open: {}", "reports: {}", "reporting: 0", "waiting: 0", "deadlines: {}"] {
            prop_assert!(left.contains(empty), "{} is not in {}", empty, left);
        }
        // C2 and C3: the same inputs to another machine, drained only at the very end, give the same outputs.
        let mut other = Connector::new(config());
        for (input, at) in run.script {
            tell(&mut other, input, at);
        }
        let mut outputs = Vec::new();
        while let Some(output) = other.poll_output() {
            outputs.push(output);
        }
        prop_assert_eq!(run.outputs, outputs);
    }
}

#[test]
fn time_that_goes_back_is_no_time() {
    #[allow(clippy::disallowed_methods)]
    let begin = Instant::now() + Duration::from_secs(1_000);
    let mut connector = Connector::new(config());
    connector.handle_invocation(activate("ann-1").as_bytes(), begin);
    let deadline = connector.next_deadline();
    connector.handle_timeout(begin.checked_sub(Duration::from_secs(500)).unwrap());
    assert_eq!(connector.next_deadline(), deadline);
    assert!(matches!(
        connector.poll_output(),
        Some(Output::Check { .. })
    ));
    assert!(connector.poll_output().is_none());
}
