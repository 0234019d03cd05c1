use super::{CommandId, ExchangeId, Key, OperationId, StreamId};

/// What a deadline is of.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Timer {
    Operation(OperationId),
    Held(OperationId),
    /// A former target is to be told.
    Retirement(Key),
    /// A former target did not answer.
    RetirementEnds(ExchangeId),
    /// An append is to be repeated.
    Append(StreamId),
    Command(CommandId),
}
