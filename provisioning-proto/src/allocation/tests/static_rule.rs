use proptest::prelude::*;

use super::*;

#[test]
fn a_higher_priority_beats_a_longer_and_older_keyword() {
    let both = points([point("low"), point("high")]);
    let rules = policies([
        policy("p1", 1, keyword("beijing-1", 0, "low")),
        policy("p2", 2, keyword("bei", 4, "high")),
    ]);
    assert_eq!(place("beijing-1", &both, &rules).as_deref(), Ok("high"));
}

#[test]
fn on_equal_priority_the_longest_keyword_wins_and_then_the_oldest() {
    let all = points([point("a"), point("b"), point("c")]);
    let rules = policies([
        policy("p1", 1, keyword("jing", 2, "a")),
        policy("p3", 3, keyword("beijing", 2, "b")),
        policy("p2", 2, keyword("beijing", 2, "c")),
    ]);
    assert_eq!(place("x-beijing", &all, &rules).as_deref(), Ok("c"));
    assert_eq!(place("x-nanjing", &all, &rules).as_deref(), Ok("a"));
}

#[test]
fn a_keyword_matches_anywhere_in_the_groups_name_with_the_id_behind_it() {
    let both = points([point("a")]);
    let rules = policies([policy("p1", 1, keyword("ters-sn", 0, "a"))]);
    let group_and_id = format!("{}{}", "meters-", "sn-1");
    assert_eq!(place(&group_and_id, &both, &rules).as_deref(), Ok("a"));
    assert_eq!(
        place("sn-1", &both, &rules).as_deref(),
        Err(&Code::NO_MATCH)
    );
}

#[test]
fn a_word_that_the_device_sends_chooses_only_among_what_its_entry_allows() {
    let both = points([point("a"), point("b")]);
    let mut rules = Vec::new();
    for (number, to) in [(1, "a"), (2, "b")] {
        let Rule::Static {
            keyword,
            priority,
            target,
            ..
        } = keyword(&format!("to-{to}"), 4, to)
        else {
            unreachable!()
        };
        let rule = Rule::Static {
            keyword,
            priority,
            target,
            source: KeywordSource::Payload,
        };
        rules.push(policy(&format!("p{number}"), number, rule));
    }
    let rules = policies(rules);
    let id = id("sn-1");
    let allowed = [access_point_id("a")].into();
    let at = |word, allowed| {
        let input = AllocationInput {
            payload_keyword: word,
            allowed,
            ..AllocationInput::new(&id, "to-a to-b")
        };
        outcome(decide(
            &input,
            &Selection::All,
            &Setting::new(&both, &rules),
        ))
    };
    assert_eq!(at(Some("to-b"), None).as_deref(), Ok("b"));
    assert_eq!(
        at(Some("to-b"), Some(&allowed)).as_deref(),
        Err(&Code::NO_MATCH)
    );
    assert_eq!(at(Some("to-a"), Some(&allowed)).as_deref(), Ok("a"));
    assert_eq!(
        at(None, None).as_deref(),
        Err(&Code::NO_MATCH),
        "the name is not what was sent"
    );
}

#[test]
fn without_a_policy_that_matches_nothing_is_chosen() {
    assert_eq!(
        place("sn-1", &points([point("a")]), &Policies::default()).as_deref(),
        Err(&Code::NO_MATCH)
    );
    let rules = policies([policy("p1", 1, keyword("x", 4, "gone"))]);
    assert_eq!(
        place("x", &points([point("a")]), &rules).as_deref(),
        Err(&Code::NO_MATCH)
    );
}

/// As the standard's words have it, without an index.
fn expected(name: &str, rules: &[(String, u8, u64, String)], draining: &str) -> Option<String> {
    let matching = rules
        .iter()
        .filter(|(word, _, _, to)| name.contains(word.as_str()) && to != draining);
    let best = matching
        .max_by_key(|(word, priority, age, _)| (*priority, word.len(), std::cmp::Reverse(*age)));
    best.map(|(_, _, _, to)| to.clone())
}

proptest! {
    /// The order of the policies does not matter, and a target that takes nobody gets nobody.
    #[test]
    fn the_best_of_all_that_match_is_chosen_in_any_order(
        words in prop::collection::vec(("[ab]{1,4}", 0_u8..=4), 0..40),
        shuffle in any::<prop::sample::Index>(),
        name in "[ab]{1,12}",
    ) {
        let mut rules: Vec<_> = words.iter().enumerate()
            .map(|(age, (word, priority))| (word.clone(), *priority, age as u64, format!("ap-{}", age % 7)))
            .collect();
        let wanted = expected(&name, &rules, "ap-3");
        if !rules.is_empty() {
            let by = shuffle.index(rules.len());
            rules.rotate_left(by);
        }
        let rules = policies(rules.iter().map(|(word, priority, age, to)| policy(&format!("p{age}"), *age, keyword(word, *priority, to))));
        let all = points((0..7).map(|n| {
            let mut point = point(&format!("ap-{n}"));
            point.accepts_new = n != 3;
            point
        }));
        prop_assert_eq!(place(&name, &all, &rules).ok(), wanted);
    }
}
