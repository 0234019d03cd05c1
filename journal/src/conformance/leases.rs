use std::time::Duration;

use crate::conformance::{Violation, conflict, done, expect, load, made, said};
use crate::{Appended, Journal, SOLE_EPOCH};

const TTL: Duration = Duration::from_secs(2);

/// Holds a store that several nodes share to the whole of J9.
///
/// `one` and `other` are two nodes' handles of the same store, which is empty. `pass` lets that much of the store's time
/// pass: it sleeps, or moves a clock. All in all five seconds pass.
///
/// # Errors
///
/// What was seen in place of the rule.
pub fn check_leases(
    one: &dyn Journal,
    other: &dyn Journal,
    pass: &mut dyn FnMut(Duration),
) -> Result<(), Violation> {
    let granted = one_node_at_a_time(one, other, pass);
    let handed_on = granted.and_then(|epoch| epochs_end_with_their_lease(one, other, epoch));
    handed_on.map_err(|what| Violation { rule: "J9", what })
}

/// Returns the epoch of the other node's lease on `p`.
fn one_node_at_a_time(
    one: &dyn Journal,
    other: &dyn Journal,
    pass: &mut dyn FnMut(Duration),
) -> Result<u64, String> {
    let first = grant(one, "p", "one")?;
    expect(
        "above the epoch of a sole process",
        first > SOLE_EPOCH,
        true,
    )?;
    let taken = said(other.acquire("p", "other", TTL))?;
    expect("a partition that another node has", taken, None)?;
    let second = grant(other, "q", "other")?;
    expect("counted over all partitions", second > first, true)?;

    expect("no lease", append(one, 1, 0, SOLE_EPOCH)?, Appended::Fenced)?;
    expect(
        "never granted",
        append(one, 1, 0, second.saturating_add(1))?,
        Appended::Fenced,
    )?;
    expect("under a lease", append(one, 1, 0, first)?, done(&[1]))?;
    expect("under another", append(other, 2, 1, second)?, done(&[2]))?;
    let stale = append(other, 3, 0, second)?;
    expect("decided on an old version", stale, conflict("a"))?;

    pass(TTL.div_f64(2.0));
    let renew = |journal: &dyn Journal, partition, node, epoch| {
        said(journal.renew(partition, node, epoch, TTL))
    };
    expect("by another node", renew(other, "p", "other", first)?, false)?;
    expect("of another epoch", renew(one, "p", "one", second)?, false)?;
    expect("renewed", renew(one, "p", "one", first)?, true)?;
    pass(TTL.mul_f64(0.75));
    expect("renewed in time", append(one, 4, 2, first)?, done(&[3]))?;
    expect("ran out", append(other, 5, 3, second)?, Appended::Fenced)?;
    expect(
        "renewed too late",
        renew(other, "q", "other", second)?,
        false,
    )?;
    let repeated = append(other, 2, 1, second)?;
    expect("was durable before it ran out", repeated, done(&[2]))?;
    let taken = said(other.acquire("p", "other", TTL))?;
    expect("a partition that was renewed", taken, None)?;

    pass(TTL);
    let third = grant(other, "p", "other")?;
    expect("rises", third > second, true)?;
    expect(
        "of the node before",
        append(one, 6, 3, first)?,
        Appended::Fenced,
    )?;
    expect("wrote nothing", load(one, "a")?.0, 3)?;
    expect("lost", renew(one, "p", "one", first)?, false)?;
    Ok(third)
}

fn epochs_end_with_their_lease(
    one: &dyn Journal,
    other: &dyn Journal,
    third: u64,
) -> Result<(), String> {
    said(one.release("p", "one", third))?;
    said(other.release("p", "other", third.saturating_sub(1)))?;
    let not_released = append(other, 7, 3, third)?;
    expect("released by others", not_released, done(&[4]))?;
    said(other.release("p", "other", third))?;
    expect("released", append(other, 8, 4, third)?, Appended::Fenced)?;

    let fourth = grant(one, "p", "one")?;
    expect("rises", fourth > third, true)?;
    // A node that was restarted asks for what it had.
    let fifth = grant(one, "p", "one")?;
    expect("rises for the same node", fifth > fourth, true)?;
    let batch = [fourth, fifth].map(|epoch| {
        let id = if epoch == fourth { 9 } else { 10 };
        made(id, &[("a", 4, 1)]).with_epoch(epoch)
    });
    let answers: Result<Vec<_>, _> = one.append_batch(&batch).into_iter().map(said).collect();
    expect(
        "each by its own epoch",
        answers?,
        vec![Appended::Fenced, done(&[5])],
    )
}

fn grant(journal: &dyn Journal, partition: &str, node: &str) -> Result<u64, String> {
    let granted = said(journal.acquire(partition, node, TTL))?;
    granted.ok_or_else(|| format!("{node} was not granted {partition}, which was free"))
}

fn append(journal: &dyn Journal, id: u8, version: u64, epoch: u64) -> Result<Appended, String> {
    said(journal.append(&made(id, &[("a", version, 1)]).with_epoch(epoch)))
}
