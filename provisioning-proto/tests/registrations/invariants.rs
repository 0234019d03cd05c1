//! What a device is told follows from its own tenant, its own entry and its own past, whatever operators and devices do.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use provisioning_proto::allocation::{
    AccessPoint, AllocationPolicy, Keyword, KeywordSource, Priority, Rule, Target,
};
use provisioning_proto::directory::{Evidence, Principal};
use provisioning_proto::model::*;
use provisioning_proto::mqtt::{Derivation, GroupSecret, Mac, SignatureType, TimedMac, Window};
use provisioning_proto::registration::*;
use provisioning_proto::{RegistrationId, SealedSecret, Secret, roster, tenant};

use crate::harness::*;

/// Two tenants with the same device ids; each has its own access points, its own group and its own secrets.
const TENANTS: [(&str, &str, [&str; 2]); 2] = [("t", "s", ["a", "b"]), ("u", "v", ["ua", "ub"])];
/// Of each tenant: two devices that are enrolled, and two of its group.
const ENROLLED: [&str; 2] = ["dev-1", "dev-2"];
const MEMBERS: [&str; 2] = ["sn-1", "sn-2"];
const POLICIES: [ReprovisioningPolicy; 4] = [
    ReprovisioningPolicy::Never,
    ReprovisioningPolicy::Reset,
    ReprovisioningPolicy::Migrate,
    ReprovisioningPolicy::OnTrigger,
];

/// A seal that hides what is in it, or what is stored would print it.
fn mirrored(secret: &[u8]) -> SealedSecret {
    let mirrored: Vec<u8> = secret.iter().map(|byte| !byte).collect();
    sealed(&mirrored)
}

fn opened(sealed: &SealedSecret) -> Secret {
    let mirrored: Vec<u8> = sealed.as_bytes().iter().map(|byte| !byte).collect();
    Secret::new(mirrored).unwrap()
}

#[derive(Clone, Debug)]
enum Event {
    /// A device asks with what it has and any keyword; its target can be told, or not.
    Ask(usize, usize, Option<String>, bool),
    Seen(usize, usize),
    /// A policy of a tenant is set, or taken away.
    Lead(usize, usize, Option<(u8, Option<String>)>),
    Open(usize, usize, bool),
    /// An entry is changed: whether it is enabled, and the number of its configuration.
    Edit(usize, usize, bool, u8),
    Trigger(usize, usize),
    Retire(usize, usize),
    Reset(usize, usize),
    Pass(u64),
}

fn event() -> impl Strategy<Value = Event> {
    let tenant = || 0..TENANTS.len();
    let device = || 0..ENROLLED.len() + MEMBERS.len();
    // Words of either tenant.
    let word = || prop::sample::select(vec!["a", "b", "ua", "ub", "t", "u"]);
    let word = move || word().prop_map(str::to_owned);
    let rule = prop_oneof![
        1 => Just(None),
        4 => (0..2_u8, prop::option::of(word())).prop_map(Some),
    ];
    prop_oneof![
        12 => (tenant(), device(), prop::option::of(word()), prop::bool::weighted(0.8))
            .prop_map(|(tenant, device, word, well)| Event::Ask(tenant, device, word, well)),
        4 => (tenant(), device()).prop_map(|(tenant, device)| Event::Seen(tenant, device)),
        6 => (tenant(), 0..3_usize, rule).prop_map(|(tenant, policy, rule)| Event::Lead(tenant, policy, rule)),
        2 => (tenant(), 0..2_usize, any::<bool>()).prop_map(|(tenant, point, open)| Event::Open(tenant, point, open)),
        4 => (tenant(), 0..ENROLLED.len(), prop::bool::weighted(0.7), any::<u8>())
            .prop_map(|(tenant, device, enabled, config)| Event::Edit(tenant, device, enabled, config)),
        2 => (tenant(), device()).prop_map(|(tenant, device)| Event::Trigger(tenant, device)),
        1 => (tenant(), device()).prop_map(|(tenant, device)| Event::Retire(tenant, device)),
        1 => (tenant(), device()).prop_map(|(tenant, device)| Event::Reset(tenant, device)),
        2 => prop_oneof![Just(1000_u64), Just(700_000)].prop_map(Event::Pass),
    ]
}

/// What is known of the devices beside the machine.
struct Run {
    world: World,
    policy: ReprovisioningPolicy,
    /// One for each tenant and enrolled device; of the group's keys of each tenant; and what devices are given.
    secrets: [String; 2],
    groups: [[u8; 32]; 2],
    given: String,
    /// Which configurations an entry ever had, the present one last; of those that are enabled.
    configs: BTreeMap<(usize, usize), Vec<Vec<u8>>>,
    enabled: BTreeMap<(usize, usize), bool>,
    /// Where a device of the policy `Never` was put first.
    first: BTreeMap<(usize, usize), (Target, Option<InitialConfig>)>,
}

impl Run {
    fn new(policy: ReprovisioningPolicy, secrets: [String; 2], given: String) -> Self {
        let mut run = Self {
            world: World::new(),
            policy,
            secrets,
            groups: [[0x17; 32], [0x71; 32]],
            given,
            configs: BTreeMap::new(),
            enabled: BTreeMap::new(),
            first: BTreeMap::new(),
        };
        for (tenant, (name, scope, points)) in TENANTS.iter().enumerate() {
            let create = tenant::Command::Create {
                name: "Tenant".to_owned(),
            };
            run.set(tenant, create);
            for at in 0..points.len() {
                run.open(tenant, at, true);
            }
            run.set(tenant, tenant::Command::AddScope(scope.parse().unwrap()));
            run.lead(tenant, 0, Some(&(0, None)));
            let attestation = GroupAttestation::GroupKey {
                primary: mirrored(&run.groups[tenant]),
                secondary: None,
                derivation: Derivation::IdAsKey,
            };
            let scope = scope.parse().unwrap();
            let name = format!("Group of {name}");
            let mut group = EnrollmentGroup::new(name, scope, attestation, Entry::enabled());
            group.ids = IdRule::any();
            group.rebind = Rebind::Deny;
            group.entry.reprovisioning = policy;
            let set = tenant::Command::SetGroup {
                group: format!("g{tenant}").parse().unwrap(),
                value: group,
                expected: Expected::Any,
            };
            run.set(tenant, set);
            for device in 0..ENROLLED.len() {
                run.edit(tenant, device, true, 0);
            }
        }
        run
    }

    fn set(&mut self, tenant: usize, command: tenant::Command) {
        let before = self.assignments();
        self.world.settings(TENANTS[tenant].0, command).unwrap();
        // I09: what is assigned stays as it is.
        assert_eq!(self.assignments(), before);
    }

    fn assignments(&self) -> Vec<(usize, RegistrationId, Option<Assignment>)> {
        let directory = self.world.machine.directory();
        let all = TENANTS.iter().enumerate().flat_map(|(at, (name, ..))| {
            let all = directory.registrations(&tenant_id(name), None);
            all.map(move |(id, known)| (at, id.clone(), known.current.clone()))
        });
        all.filter(|(.., current)| current.is_some()).collect()
    }

    fn open(&mut self, tenant: usize, at: usize, accepts_new: bool) {
        let name = TENANTS[tenant].2[at];
        let mut access_point = AccessPoint::new(point(name), name);
        access_point.accepts_new = accepts_new;
        let expected = Expected::Any;
        let point = access_point;
        self.set(tenant, tenant::Command::SetAccessPoint { point, expected });
    }

    /// A fixed policy, or one that a word in the request chooses.
    fn lead(&mut self, tenant: usize, number: usize, to: Option<&(u8, Option<String>)>) {
        let policy = format!("p{number}").parse().unwrap();
        let Some((at, word)) = to else {
            let expected = Expected::Any;
            let remove = tenant::Command::RemovePolicy { policy, expected };
            let before = self.assignments();
            let _ = self.world.settings(TENANTS[tenant].0, remove);
            assert_eq!(self.assignments(), before);
            return;
        };
        let target = target(TENANTS[tenant].2[usize::from(*at)]);
        let rule = match word {
            None => Rule::Fixed { target },
            Some(word) => Rule::Static {
                keyword: Keyword::new(word.clone()).unwrap(),
                priority: Priority::new(*at).unwrap(),
                source: KeywordSource::Payload,
                target,
            },
        };
        let policy = AllocationPolicy::new(policy, 0, rule);
        let expected = Expected::Any;
        self.set(tenant, tenant::Command::SetPolicy { policy, expected });
    }

    fn of_device(&mut self, tenant: usize, device: usize, command: roster::Command) -> bool {
        let id = self.id(device);
        let tenant = tenant_id(TENANTS[tenant].0);
        let command = Command::Registration {
            tenant,
            id,
            command,
        };
        self.world.command(command).is_ok()
    }

    fn id(&self, at: usize) -> RegistrationId {
        device(ENROLLED.iter().chain(&MEMBERS).nth(at).unwrap())
    }

    fn edit(&mut self, tenant: usize, device: usize, enabled: bool, config: u8) {
        let config = format!("configuration {tenant} {device} {config}").into_bytes();
        let mut entry = Entry::enabled();
        entry.enabled = enabled;
        entry.reprovisioning = self.policy;
        entry.initial_config = Some(InitialConfig::new(config.clone()).unwrap());
        let attestation = Attestation::SymmetricKey {
            primary: mirrored(self.secrets[tenant].as_bytes()),
            secondary: None,
        };
        let enroll = roster::Command::Enroll {
            enrollment: Enrollment::new(attestation, entry),
            expected: Expected::Any,
        };
        let before = self.assignments();
        if self.of_device(tenant, device, enroll) {
            let configs = self.configs.entry((tenant, device)).or_default();
            configs.push(config);
            self.enabled.insert((tenant, device), enabled);
        }
        // I33: it counts from the next decision on.
        assert_eq!(self.assignments(), before);
    }

    /// With every credential that the device could have: its own, its group's, what it was given; and those of the other tenant.
    fn principals(&self, tenant: usize, device: usize) -> Vec<Principal> {
        let id = self.id(device);
        let group = GroupSecret::new(self.groups[tenant].to_vec()).unwrap();
        let own = |text: &str| Secret::new(text.as_bytes()).unwrap();
        let mut secrets = vec![(None, own(&self.given))];
        if device < ENROLLED.len() {
            secrets.push((None, own(&self.secrets[tenant])));
        }
        let derived = Derivation::IdAsKey.derive(&group, &id);
        secrets.push((Some(TENANTS[tenant].1), derived));
        let proved = secrets.into_iter().filter_map(|(scope, secret)| {
            let timestamp = "2027011508".parse().unwrap();
            let mac = Mac::sign(SignatureType::Sha256, &timestamp, &secret);
            self.prove(&Evidence::TimedMac {
                scope: scope.map(|scope| scope.parse().unwrap()),
                id: id.clone(),
                mac: TimedMac::new(SignatureType::Sha256, timestamp, mac),
            })
        });
        let name = tenant_id(TENANTS[tenant].0);
        // What was given is the same text in both tenants, to make a mistake worth something.
        proved.filter(|one| *one.tenant() == name).collect()
    }

    fn prove(&self, evidence: &Evidence) -> Option<Principal> {
        let wall = self.world.wall();
        let candidates = self.world.machine.directory().candidates(evidence, wall);
        candidates.iter().find_map(|candidate| {
            let secrets = candidate.secrets();
            let opened: Vec<_> = secrets.map(|(_, _, secret)| opened(secret)).collect();
            candidate.check(evidence, &opened, Window::default(), wall)
        })
    }

    fn known(&self, tenant: usize, device: usize) -> Option<roster::Registration> {
        let directory = self.world.machine.directory();
        let tenant = tenant_id(TENANTS[tenant].0);
        directory.registration(&tenant, &self.id(device)).cloned()
    }

    fn ask(&mut self, tenant: usize, device: usize, word: Option<&String>, well: bool) {
        let place = (tenant, device);
        for principal in self.principals(tenant, device) {
            let before = self.known(tenant, device);
            let by_group = principal.class() == EvidenceClass::GroupKey;
            let mut request = RegistrationRequest::new(principal);
            request.keyword = word.cloned();
            request.fresh_secret = by_group.then(|| mirrored(self.given.as_bytes()));
            let (wall, now) = (self.world.wall(), self.world.now());
            let operation = self.world.machine.handle_request(request, wall, now);
            self.run(well);
            // One that could not be told at first is told until the time is over.
            if !self.world.answers.contains_key(&operation) {
                self.world.pass(Duration::from_secs(5));
                self.run(true);
            }
            let result = self.world.answers.remove(&operation).expect("an end");
            let after = self.known(tenant, device);
            let Ok(answer) = result else {
                // I16, I33: what fails changes neither the assignment nor where the device is known.
                let current = |one: Option<roster::Registration>| one.and_then(|one| one.current);
                assert_eq!(current(after), current(before));
                continue;
            };
            self.told(place, before, by_group, &answer);
        }
    }

    fn told(
        &mut self,
        place: (usize, usize),
        before: Option<roster::Registration>,
        by_group: bool,
        answer: &Answer,
    ) {
        let (tenant, device) = place;
        let (name, _, points) = TENANTS[tenant];
        // I03: the tenant is the credential's, and so is where the device goes, whatever word it sent.
        assert_eq!(answer.tenant, tenant_id(name));
        assert!(points.contains(&answer.assignment.target.access_point.as_str()));
        // I04: nobody whose own entry is disabled, or who is out of service.
        assert_ne!(self.enabled.get(&place), Some(&false));
        let retired = before.as_ref().is_some_and(|before| before.retired);
        assert!(!retired);
        // I07: a new place takes new devices.
        let current = before.as_ref().and_then(|before| before.current.clone());
        let target = answer.assignment.target.clone();
        if current.as_ref().map(|one| &one.target) != Some(&target) {
            assert!(answer.access_point.accepts_new);
        }
        // I08: where it was put first, with what it was given then.
        let config = answer.initial_config().cloned();
        if self.policy == ReprovisioningPolicy::Never {
            let told = (target, config.clone());
            let first = self.first.entry(place).or_insert_with(|| told.clone());
            assert_eq!(*first, told);
        }
        // I33: to the byte what was stored when that was decided.
        let configs = self.configs.get(&place);
        if let Some(configs) = configs.filter(|_| !by_group) {
            let config = config.as_ref().map(InitialConfig::as_bytes);
            assert!(configs.iter().any(|one| Some(&one[..]) == config));
            let same = current.map(|one| one.generation) == Some(answer.assignment.generation);
            if !same && self.policy == ReprovisioningPolicy::Reset {
                assert_eq!(config, configs.last().map(Vec::as_slice));
            }
        }
        // I27: with a credential of its own, a device does not come in by its group's, once it was seen or had its time.
        if let Some(before) = before.filter(|one| by_group && one.own_secret.is_some()) {
            let state = before.current.map(|one| one.state);
            assert_eq!(state, Some(AssignmentState::Committed), "{device}");
        }
    }

    /// Does what is asked for; targets can be told, or not.
    fn run(&mut self, well: bool) {
        self.world.drain();
        while !self.world.waiting.is_empty() {
            self.check_prints();
            let output = self.world.waiting.remove(0);
            let told = match output {
                Output::UpsertDevice { .. } => well,
                _ => true,
            };
            self.world.perform(output, told);
        }
    }

    /// I37: no output and no record prints a secret.
    fn check_prints(&self) {
        let (waiting, answers) = (&self.world.waiting, &self.world.answers);
        let printed = format!("{waiting:?} {answers:?} {:?}", self.world.records);
        let groups = self.groups.iter().map(|one| one.to_vec());
        let texts = self.secrets.iter().chain([&self.given]);
        let texts = texts.map(|text| text.clone().into_bytes());
        for secret in texts.chain(groups) {
            let list = format!("{secret:?}");
            let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
            let text = String::from_utf8_lossy(&secret);
            for form in [list.trim_matches(['[', ']']), &hex, &text] {
                assert!(!printed.contains(form), "{form} is printed");
            }
        }
    }

    fn step(&mut self, event: &Event) {
        match event {
            Event::Ask(tenant, device, word, well) => {
                self.ask(*tenant, *device, word.as_ref(), *well);
            }
            Event::Seen(tenant, device) => {
                let known = self.known(*tenant, *device);
                if let Some(generation) = known.and_then(|known| known.current_generation()) {
                    let (tenant, id) = (tenant_id(TENANTS[*tenant].0), self.id(*device));
                    let (wall, now) = (self.world.wall(), self.world.now());
                    let machine = &mut self.world.machine;
                    machine.handle_target_seen(&tenant, &id, generation, wall, now);
                }
            }
            Event::Lead(tenant, policy, to) => self.lead(*tenant, *policy, to.as_ref()),
            Event::Open(tenant, at, open) => self.open(*tenant, *at, *open),
            Event::Edit(tenant, device, enabled, config) => {
                self.edit(*tenant, *device, *enabled, *config);
            }
            Event::Trigger(tenant, device) => {
                self.of_device(*tenant, *device, roster::Command::Trigger);
            }
            Event::Retire(tenant, device) => {
                self.of_device(*tenant, *device, roster::Command::Retire);
            }
            Event::Reset(tenant, device) => {
                if self.of_device(*tenant, *device, roster::Command::Reset) {
                    self.first.remove(&(*tenant, *device));
                }
            }
            Event::Pass(millis) => self.world.pass(Duration::from_millis(*millis)),
        }
        self.run(true);
        self.check();
    }

    /// No access point of a tenant knows a device of another: the ids are the same, so it is counted.
    fn check(&self) {
        let directory = self.world.machine.directory();
        for (name, _, points) in TENANTS {
            let mut used = BTreeMap::new();
            for (_, known) in directory.registrations(&tenant_id(name), None) {
                for one in known.current.iter().chain(&known.previous) {
                    *used.entry(one.target.access_point.to_string()).or_insert(0) += 1;
                }
            }
            let allowed: BTreeSet<_> = points.iter().map(|name| (*name).to_owned()).collect();
            assert!(used.keys().all(|name| allowed.contains(name)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn what_a_device_is_told_follows_from_its_tenant_its_entry_and_its_past(
        policy in prop::sample::select(POLICIES.to_vec()),
        secrets in ["[a-z0-9]{16}", "[A-Z0-9]{16}"],
        given in "[a-zA-Z0-9]{24}",
        events in prop::collection::vec(event(), 0..60),
    ) {
        let mut run = Run::new(policy, secrets, given);
        for event in &events {
            run.step(event);
        }
    }

    /// I18: whoever asks again, before the answer or after it, is told the same, and is assigned once; also with another secret at
    /// hand each time. (More than four that wait for the same are put off.)
    #[test]
    fn a_request_that_is_repeated_has_one_assignment_and_one_answer(
        by_group: bool,
        pauses in prop::collection::vec(0..5_usize, 1..5),
    ) {
        let mut world = World::furnished();
        let id = if by_group { "sn-1" } else { "dev-1" };
        if !by_group {
            world.enroll(id, "12345678", |_| {}).unwrap();
        }
        let mut operations = Vec::new();
        for (number, pause) in pauses.iter().enumerate() {
            let principal = match by_group {
                true => world.by_group(id),
                false => world.by_secret(id, "12345678"),
            };
            let mut request = RegistrationRequest::new(principal.unwrap());
            request.fresh_secret = by_group.then(|| sealed(format!("secret {number}").as_bytes()));
            let (wall, now) = (world.wall(), world.now());
            operations.push(world.machine.handle_request(request, wall, now));
            world.drain();
            for _ in 0..*pause {
                if !world.waiting.is_empty() {
                    let output = world.waiting.remove(0);
                    world.perform(output, true);
                }
            }
        }
        world.settle();
        let told: Vec<_> = operations
            .iter()
            .map(|operation| {
                let answer = world.answers.remove(operation).unwrap().unwrap();
                (answer.assignment, answer.device_secret.map(|secret| secret.sealed))
            })
            .collect();
        prop_assert!(told.windows(2).all(|two| two[0] == two[1]), "{told:?}");
        prop_assert_eq!(told[0].1.is_some(), by_group);
        let known = world.registration(id).unwrap();
        prop_assert_eq!((known.generation, known.previous.len()), (1, 0));
        // Its target may be told again, and is the only one.
        let mut told = world.log.iter().filter(|line| !line.starts_with("answer"));
        let upsert = format!("upsert {id} a");
        prop_assert!(told.all(|line| *line == upsert), "{:?}", world.log);
    }
}
