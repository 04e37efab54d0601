//! The items `late#<hour>#<cohort>`: how many emails of a cohort were sent in a much later hour. Plain sums, beside their cohort's.

use super::Campaigns;
use crate::aws::CallError;
use crate::policy::brake::LONG_WINDOW_DAYS;
use crate::policy::late::Late;
use crate::resend::campaign::{Campaign, Cohort};
use crate::store::{Item, as_number};
use crate::time::{UnixMillis, days};

/// What begins the sort key.
const LATE: &str = "late#";

/// Where the range of these items ends: '$' is what follows '#'.
pub(super) const LATE_END: &str = "late$";

/// How much longer than a brake's window a sum stays. What is delivered again after that is counted already, or of an hour before every
/// window.
const LONGER_DAYS: u32 = 1;

/// The sort key of what was sent in an hour of a cohort. With the hour first, those of a window are one range.
pub(super) fn late_key(hour: Cohort, cohort: Cohort) -> String {
    format!("{LATE}{hour}#{cohort}")
}

/// When the sum of an hour may go, in seconds.
pub(super) fn forget_late(hour: Cohort) -> i64 {
    hour.start().plus(days(LONG_WINDOW_DAYS + LONGER_DAYS)).seconds()
}

/// What an item of the campaigns table adds to what was sent late; nothing, if it is of another kind.
pub fn add_late(item: &Item, late: &mut Late) {
    let key = item.get("cohort").and_then(|key| key.as_s().ok()).and_then(|key| key.strip_prefix(LATE));
    let Some((hour, cohort)) = key.and_then(|key| key.split_once('#')) else { return };
    let sent = item.get("sent").and_then(as_number);
    if let (Some(hour), Some(cohort), Some(sent)) = (Cohort::parse(hour), Cohort::parse(cohort), sent) {
        late.add(cohort, hour, sent);
    }
}

impl Campaigns {
    /// What was sent late of a campaign from a moment on. It is known of the brake's longest window, and of a day before it.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub async fn late(&self, campaign: &Campaign, since: UnixMillis) -> Result<Late, CallError> {
        let from = format!("{LATE}{}", Cohort::of(since));
        let partition = ("campaign", campaign.as_str());
        let items = self.calls.range(&self.table, partition, ("cohort", &from, LATE_END), usize::MAX).await?;
        let mut late = Late::default();
        items.iter().for_each(|item| add_late(item, &mut late));
        Ok(late)
    }
}
