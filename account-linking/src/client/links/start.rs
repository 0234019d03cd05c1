//! What an attempt begins with.

use crate::client::cloud::CloudId;
use crate::secret::SecretBytes;
use crate::user_id::UserId;

/// A wish to link: what [`Links::start`](super::Links::start) is given.
#[derive(Debug)]
#[non_exhaustive]
pub struct Start {
    /// Who wants to link.
    pub user: UserId,
    /// With which cloud.
    pub cloud: CloudId,
    /// What ties the attempt to one browser: the value of a cookie of this browser session.
    pub browser: SecretBytes,
    /// The name of the page that is shown in the end, one of [`Config::return_pages`](super::Config::return_pages).
    pub return_page: String,
    /// Whether the user agreed that another remote user may take the place of the linked one.
    pub replace: bool,
}

impl Start {
    /// A wish to link that replaces no other remote user.
    #[must_use]
    pub fn new(
        user: UserId,
        cloud: CloudId,
        browser: SecretBytes,
        return_page: impl Into<String>,
    ) -> Self {
        Self {
            user,
            cloud,
            browser,
            return_page: return_page.into(),
            replace: false,
        }
    }
}
