//! Why bytes or values of LwM2M were refused.

/// Why bytes are not what they should be. Names no byte of them: they may carry keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end within a value, or do not end behind the last one.
    #[error("the payload is cut off or has a tail")]
    Length,
    /// It is not in the content format it is said to be in.
    #[error("the payload is not in its content format")]
    Syntax,
    /// A value is not of the type of its resource.
    #[error("a value has not the type of its resource")]
    Type,
    /// Something that is not a path of LwM2M.
    #[error("a path is malformed")]
    Path,
    /// An id, a label or a link occurs twice.
    #[error("something occurs twice")]
    Duplicate,
    /// An entry stands where entries of its kind may not stand.
    #[error("an entry is at the wrong level")]
    Nesting,
    /// A member that must be understood and is not: one of a later SenML, or a base value.
    #[error("the payload needs a feature that is not supported")]
    Unsupported,
    /// More bytes, records or links than are taken.
    #[error("the payload is over the limit")]
    TooLarge,
    /// A content format that cannot carry this.
    #[error("the content format is not supported")]
    Format,
}

/// Why values cannot be written in a content format.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A value is longer than the format can say: 16 MiB for TLV.
    #[error("a value is too long for the content format")]
    TooLong,
    /// A number that the format has no form for: JSON knows no infinity.
    #[error("a number has no form in the content format")]
    Number,
    /// A content format that cannot carry this.
    #[error("the content format is not supported")]
    Format,
}
