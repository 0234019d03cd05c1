//! How much a peer's content may ask of us.

/// Bounds on decoding; a message that exceeds one is refused before it costs more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// How many arrays and maps may lie around a value. More than 127 counts as 127.
    pub max_depth: usize,
    /// How many values one message may hold, arrays and maps included.
    pub max_items: usize,
    /// How many bytes one message may have.
    pub max_length: usize,
}

impl Limits {
    // The readers recurse once per level; this many levels fit any thread's stack.
    const DEEPEST: usize = 127;

    pub(crate) fn depth(&self) -> usize {
        self.max_depth.min(Self::DEEPEST)
    }
}

impl Default for Limits {
    /// 32 levels, 65 536 values, 1 MiB.
    fn default() -> Self {
        Self {
            max_depth: 32,
            max_items: 65_536,
            max_length: 1_048_576,
        }
    }
}
