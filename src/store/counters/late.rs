//! The items `late#<hour>#<cohort>`: number of emails of a cohort that were sent in a much later hour. Plain sums, next
//! to the counters of their cohort.

use super::Campaigns;
use crate::aws::CallError;
use crate::policy::brake::LONG_WINDOW_DAYS;
use crate::policy::counting::late::LateSends;
use crate::resend::campaign::{Campaign, Cohort};
use crate::store::{Item, as_number};
use crate::time::{UnixMillis, days};

/// Prefix of the sort key.
const LATE: &str = "late#";

/// End of the range of these items: '$' follows '#'.
pub(super) const LATE_END: &str = "late$";

/// Number of days that a sum stays after the brake's longest window. A webhook redelivered later than that is counted
/// already, or is from an hour before every window.
const LONGER_DAYS: u32 = 1;

/// Sort key of the emails of a cohort that were sent in an hour. The hour comes first, so a window is one range.
pub(super) fn late_key(hour: Cohort, cohort: Cohort) -> String {
    format!("{LATE}{hour}#{cohort}")
}

/// Expiry of the sum of an hour, in seconds.
pub(super) fn late_expiry(hour: Cohort) -> i64 {
    hour.start().plus(days(LONG_WINDOW_DAYS + LONGER_DAYS)).seconds()
}

/// Adds an item of the campaigns table to the late sums. Items of other kinds are ignored.
pub fn add_late(item: &Item, late: &mut LateSends) {
    let key = item.get("cohort").and_then(|key| key.as_s().ok()).and_then(|key| key.strip_prefix(LATE));
    let Some((hour, cohort)) = key.and_then(|key| key.split_once('#')) else { return };
    let sent = item.get("sent").and_then(as_number);
    if let (Some(hour), Some(cohort), Some(sent)) = (Cohort::parse(hour), Cohort::parse(cohort), sent) {
        late.add(cohort, hour, sent);
    }
}

impl Campaigns {
    /// Returns the late sums of a campaign since a moment. They are kept for the brake's longest window and one more
    /// day.
    pub async fn late(&self, campaign: &Campaign, since: UnixMillis) -> Result<LateSends, CallError> {
        let from = format!("{LATE}{}", Cohort::containing(since));
        let partition = ("campaign", campaign.as_str());
        let items = self.calls.query(&self.table, partition, ("cohort", &from, LATE_END), usize::MAX).await?;
        let mut late = LateSends::default();
        items.iter().for_each(|item| add_late(item, &mut late));
        Ok(late)
    }
}
