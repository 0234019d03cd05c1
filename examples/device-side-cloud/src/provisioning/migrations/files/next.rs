//! What an export does, by how far the device's migration has come.

use provisioning_proto::migration::{Alone, Migration, Purpose, Stage, Way};

use crate::error::Error;

/// What is to be done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Next {
    /// A transfer is to be planned.
    Plan,
    /// It has not begun yet.
    Wait,
    /// A file of this purpose is to be written.
    Write(Purpose),
}

/// For the instance of this name.
///
/// # Errors
/// Nothing is to be carried there, and what the operator does instead.
pub(super) fn next(present: Option<&Migration>, name: &str) -> Result<Next, Error> {
    let Some(migration) = present else {
        return Ok(Next::Plan);
    };
    let told = |text: String| Err(Error::plain(text));
    let to_here = match &migration.way {
        Way::Transfer { instance, .. } => instance == name,
        _ => false,
    };
    match (migration.stage, migration.alone) {
        // It would refuse another transfer before it gives the device back.
        (Stage::Aborted, Some(Alone::Unheard)) if to_here => Ok(Next::Write(Purpose::Withdrawal)),
        (Stage::Aborted, Some(Alone::Seen)) if to_here => told(format!(
            "{name:?} has seen the device and keeps it: `provisioning migration let-go` lets it go here"
        )),
        (Stage::Finished | Stage::Aborted, _) => Ok(Next::Plan),
        _ if !to_here => told(match &migration.way {
            Way::Transfer { instance, .. } => format!(
                "the device is on its way to {instance:?}: export for that instance, or abort first"
            ),
            _ => "the device is on its way to another access point: abort that first".to_owned(),
        }),
        (Stage::Planned, _) => Ok(Next::Wait),
        (Stage::Begun | Stage::Prepared, _) => Ok(Next::Write(Purpose::Registration)),
        (Stage::Aborting, _) => Ok(Next::Write(Purpose::Withdrawal)),
        _ => told(format!(
            "the device was seen at {name:?}, and nothing is to be carried there any more"
        )),
    }
}
