//! The steps.
use super::story::Story;
use crate::error::Error;
pub(crate) async fn tell(_story: &mut Story) -> Result<(), Error> { Ok(()) }
