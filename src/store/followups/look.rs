//! The last look: the transaction with which a try begins.
//!
//! ```text
//!   read:  the forgotten key, and the recipient's places and opt-out click; the caps are asked again for now
//!   then, all or nothing:
//!     row          on its version       becomes `sending`, `tries` + 1, `open_since` and `asked_with` where absent
//!     entries                           the next look: at least 60 s ahead
//!     suppression  no active reason
//!     forgotten    not there; or there is still no forgotten key
//!     campaign     its brake is not `paused`; nor that of the sending domain
//!     switch       absent, for all and for the campaign
//!     lock         mine, and not over     sets `next_request_at`
//!     day          below the limit        + 1, at the first try only
//!     places       on the version read    this one's time becomes now
//!     opt-out click, reply                none blocks it
//!
//!   What may go wrong, and what follows:
//!   a no is stored before the transaction    its condition refuses; nothing was written, no request begins
//!   a no is stored after it                  one request may be in flight; the next look refuses
//!   the lock was lost                        refused: another act may be working
//!   the answer of the transaction is lost    no request begins; if it was applied, the row is `sending`, and the next
//!                                            look repeats with the same key
//! ```

use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use aws_sdk_dynamodb::types::{ReturnValuesOnConditionCheckFailure, TransactWriteItem};
use tokio::time::Instant;

use super::read::handed_over_key;
use super::row::FollowupRow;
use super::slots::Followups;
use super::switch::SwitchOf;
use super::write::with_place;
use super::{FollowupStore, read_facts};
use crate::aws::CallError;
use crate::policy::followup::sending::{
    BegunTry, CapCheck, CapTime, DropReason, LookOutcome, LookRefusal, NotNow, Settlement, cap_time, quiet_until,
};
use crate::policy::followup::{AllowedRecipients, Zone};
use crate::policy::limits::FollowupPolicy;
use crate::resend::recipient::Recipient;
use crate::store::client::{UpdateExpression, check_item, put_item, update_item};
use crate::store::forgotten::{self, ErasureKey, KEY_ITEM};
use crate::store::suppressions::SuppressionItem;
use crate::store::version::SeenVersion;
use crate::store::{Item, agenda, fact_key, number, opt_outs, recipient_key, string, text};
use crate::time::{UnixMillis, days};

/// Maximum number of looks in one call, if places or the forgotten key change meanwhile.
const MAX_ATTEMPTS: u32 = 3;

/// Retention of a day's counter, in days.
const DAY_KEPT: u32 = 35;

/// Settings and times of a try.
#[derive(Clone, Copy, Debug)]
pub struct LastLook<'a> {
    /// The service's clock.
    pub now: UnixMillis,
    /// The real time, by which the lock goes.
    pub real_now: UnixMillis,
    /// The holder of the lock.
    pub holder: &'a str,
    /// Earliest real time of the next request, for the lock.
    pub next_request_at: UnixMillis,
    /// `FOLLOWUPS_PER_DAY`.
    pub per_day: u32,
    /// Fingerprint of the base URL and the API key.
    pub asked_with: &'a str,
    /// `FOLLOWUP_TIMEZONE`.
    pub zone: &'a Zone,
    /// Limits of follow-ups.
    pub policy: &'a FollowupPolicy,
    /// `FOLLOWUP_RECIPIENTS`.
    pub allowed: &'a AllowedRecipients,
    /// The domain of the sender, if it is known.
    pub domain: Option<&'a str>,
}

/// Result of a last look.
#[derive(Clone, Debug, PartialEq)]
pub enum TryResult {
    /// The request may begin.
    Begun {
        /// The row as written: `sending`, with its `request`.
        row: Box<FollowupRow>,
        /// The kind of try.
        begun: BegunTry,
        /// Time at which the transaction was sent.
        sent_at: Instant,
    },
    /// Nothing was written. The caller postpones it, or ends its run.
    NotNow(NotNow, Vec<LookRefusal>),
    /// Nothing was written. The caller drops it.
    No(DropReason, Vec<LookRefusal>),
    /// Its time is over. The caller settles it.
    Over(Settlement),
    /// The lock is not held any more: the run ends.
    LockLost,
    /// The row has changed since it was read: it is left to its entry.
    Changed,
}

/// A part of the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Row,
    Entry,
    Suppression,
    Forgotten,
    Campaign,
    Domain,
    SwitchAll,
    SwitchCampaign,
    Lock,
    Day,
    Places,
    OptOutClick,
    Reply,
}

/// A part that refused, with its current item.
type RefusedPart = (Part, Option<Item>);

impl FollowupStore {
    /// Makes the last look, and begins a try. `request` is the body for `POST /emails`; it counts if the row has none
    /// yet. `row` was just read.
    ///
    /// # Errors
    /// The outcome of the transaction is unclear, or nothing was written: no request may begin.
    pub async fn begin_try(
        &self,
        row: &FollowupRow,
        request: &str,
        look: &LastLook<'_>,
    ) -> Result<TryResult, CallError> {
        if row.state.status.is_settled() {
            return Ok(TryResult::Changed);
        }
        if let Some(settlement) = row.state.settlement(look.now, Some(look.asked_with)) {
            return Ok(TryResult::Over(settlement));
        }
        let Some(recipient) = &row.recipient else {
            return Ok(TryResult::No(DropReason::Unreadable, vec![refusal("row", "the row names no recipient")]));
        };
        if !look.allowed.allows(recipient) {
            return Ok(TryResult::No(
                DropReason::Stopped,
                vec![refusal("trial", "the recipient is not part of the trial")],
            ));
        }
        if let Some(until) = quiet_until(look.now, look.zone, look.policy) {
            let why = format!("quiet hours until {}", until.to_text());
            return Ok(TryResult::NotNow(NotNow::Quiet(until), vec![refusal("quiet_hours", &why)]));
        }
        if row.state.tries == 0 && look.per_day == 0 {
            return Ok(TryResult::NotNow(NotNow::DayLimit, vec![refusal("day_limit", "FOLLOWUPS_PER_DAY is 0")]));
        }
        let Some((state, begun)) = row.state.begin_try(look.now, look.asked_with) else {
            return Ok(TryResult::Changed);
        };
        let request = row.request.clone().unwrap_or_else(|| request.to_owned());
        let next = FollowupRow { state, guards: Vec::new(), request: Some(request), ..row.clone() };
        for _ in 0..MAX_ATTEMPTS {
            let key = forgotten::key(&self.calls, &self.tables.suppressions).await?;
            let mut places = read_facts(&self.calls, &self.tables.recipients, recipient).await?.followups;
            if ask_caps(row, &places, look).is_some() {
                // What was read may be older than the row: of a transaction in flight.
                places = self.places(recipient).await?;
                if let Some(result) = ask_caps(row, &places, look) {
                    return Ok(result);
                }
            }
            let (parts, items, written) = self.transaction(row, &next, recipient, &places, key.as_ref(), look)?;
            let sent_at = Instant::now();
            let refused = match self.calls.transact_with_items(items).await? {
                Ok(()) => return Ok(TryResult::Begun { row: Box::new(written), begun, sent_at }),
                Err(refused) => refused,
            };
            let refused: Vec<RefusedPart> =
                refused.into_iter().filter_map(|(index, item)| Some((*parts.get(index)?, item))).collect();
            if let Some(result) = judge(&refused, key.is_some(), look) {
                return Ok(result);
            }
            // Places or the forgotten key have changed since they were read.
        }
        Err(CallError::Transient("what the last look reads kept changing".to_owned()))
    }

    /// The transaction: its parts, its items, and the row that it writes.
    fn transaction(
        &self,
        row: &FollowupRow,
        next: &FollowupRow,
        recipient: &Recipient,
        places: &Followups,
        key: Option<&ErasureKey>,
        look: &LastLook<'_>,
    ) -> Result<(Vec<Part>, Vec<TransactWriteItem>, FollowupRow), CallError> {
        let tables = &self.tables;
        let (item, condition) = row.seen.overwrite("email_id", next.to_item());
        let written = FollowupRow { seen: SeenVersion::of(Some(&item)), ..next.clone() };
        let mut all = vec![(Part::Row, put_item(condition.put_in_transaction(&tables.events, item))?)];
        all.extend(self.entries(row, next)?.into_iter().map(|item| (Part::Entry, item)));
        let mut check = |part, table: &str, key: Item, condition: UpdateExpression| {
            let check = condition.check_in_transaction(table, key);
            let returned = ReturnValuesOnConditionCheckFailure::AllOld;
            all.push((part, check_item(check.return_values_on_condition_check_failure(returned))?));
            Ok::<(), CallError>(())
        };
        check(Part::Suppression, &tables.suppressions, recipient_key(recipient.as_str()), not_active(look.now))?;
        let (name, absent) = match key {
            Some(key) => (key.name_of(recipient), "attribute_not_exists(reasons)"),
            None => (KEY_ITEM.to_owned(), "attribute_not_exists(recipient)"),
        };
        check(Part::Forgotten, &tables.suppressions, recipient_key(&name), only_if(absent))?;
        if let Some(campaign) = &row.campaign {
            check(Part::Campaign, &tables.campaigns, brake_key(campaign.as_str()), not_paused())?;
            let switch = SwitchOf::Campaign(campaign.clone());
            check(Part::SwitchCampaign, &tables.agenda, switch.key(), no_switch())?;
        }
        if let Some(domain) = look.domain {
            check(Part::Domain, &tables.campaigns, brake_key(&format!("domain#{domain}")), not_paused())?;
        }
        check(Part::SwitchAll, &tables.agenda, SwitchOf::All.key(), no_switch())?;
        check(Part::OptOutClick, &tables.recipients, fact_key(recipient, opt_outs::FACT), not_blocked(look.now))?;
        check(Part::Reply, &tables.recipients, fact_key(recipient, "reply"), only_if("attribute_not_exists(fact)"))?;
        all.push((Part::Lock, update_item(self.lock(look))?));
        if row.state.tries == 0 {
            all.push((Part::Day, update_item(self.hand_over(look))?));
        }
        let put = with_place(places, row, look.now).overwrite(&tables.recipients, recipient);
        all.push((Part::Places, put_item(put)?));
        let (parts, items) = all.into_iter().unzip();
        Ok((parts, items, written))
    }

    /// The lock is mine, and not over; the next request comes later.
    fn lock(&self, look: &LastLook<'_>) -> UpdateBuilder {
        let change = UpdateExpression {
            update: "SET next_request_at = :next".to_owned(),
            condition: Some("holder = :me AND #until > :now"),
            names: vec![("#until".to_owned(), "until".to_owned())],
            values: vec![
                (":next".to_owned(), number(look.next_request_at.0)),
                (":me".to_owned(), text(look.holder)),
                (":now".to_owned(), number(look.real_now.0)),
            ],
        };
        change.update_in_transaction(&self.tables.agenda, agenda::key("lock", "act"))
    }

    /// One follow-up more of the day, below its limit.
    fn hand_over(&self, look: &LastLook<'_>) -> UpdateBuilder {
        let change = UpdateExpression {
            update: "ADD #count :one SET expires_at = :expires_at".to_owned(),
            condition: Some("attribute_not_exists(#count) OR #count < :limit"),
            names: vec![("#count".to_owned(), "count".to_owned())],
            values: vec![
                (":one".to_owned(), number(1)),
                (":limit".to_owned(), number(i64::from(look.per_day))),
                (":expires_at".to_owned(), number(look.now.plus(days(DAY_KEPT)).seconds())),
            ],
        };
        change.update_in_transaction(&self.tables.agenda, handed_over_key(look.now))
    }
}

/// Applies the caps for now. Returns `None` if they allow it.
fn ask_caps(row: &FollowupRow, places: &Followups, look: &LastLook<'_>) -> Option<TryResult> {
    let check = CapCheck {
        taken: &places.taken,
        email_id: &row.email_id,
        decision: &row.decision,
        deadline: row.state.deadline(),
    };
    match cap_time(&check, look.now, look.policy) {
        CapTime::Now => None,
        CapTime::Later(at, why) => Some(TryResult::NotNow(NotNow::Cap(at), vec![refusal("cap", &why)])),
        CapTime::Never(why) => Some(TryResult::No(DropReason::Cap, vec![refusal("cap", &why)])),
        CapTime::PlaceLost => {
            let why = "its place among the recipient's follow-ups is gone";
            Some(TryResult::No(DropReason::PlaceLost, vec![refusal("place", why)]))
        }
    }
}

/// Judges who refused. Returns `None` if only what was read has changed: it is read again.
fn judge(refused: &[RefusedPart], key_is_known: bool, look: &LastLook<'_>) -> Option<TryResult> {
    let has = |part: Part| refused.iter().any(|(one, _)| *one == part);
    if has(Part::Row) {
        return Some(TryResult::Changed);
    }
    if has(Part::Lock) {
        return Some(TryResult::LockLost);
    }
    let said: Vec<(LookOutcome, LookRefusal)> =
        refused.iter().filter_map(|one| outcome(one, key_is_known, look)).collect();
    let guards: Vec<LookRefusal> = said.iter().map(|(_, refusal)| refusal.clone()).collect();
    let no = said.iter().find_map(|(outcome, _)| match outcome {
        LookOutcome::No(reason) => Some(reason.clone()),
        _ => None,
    });
    if let Some(reason) = no {
        return Some(TryResult::No(reason, guards));
    }
    // What ends the run comes first.
    let mut later: Vec<NotNow> = said
        .into_iter()
        .filter_map(|(outcome, _)| match outcome {
            LookOutcome::NotNow(later) => Some(later),
            _ => None,
        })
        .collect();
    later.sort_by_key(|later| !later.ends_run());
    later.into_iter().next().map(|later| TryResult::NotNow(later, guards))
}

/// Returns the meaning of a part's refusal. Returns `None` if the part must be read again.
fn outcome(refused: &RefusedPart, key_is_known: bool, look: &LastLook<'_>) -> Option<(LookOutcome, LookRefusal)> {
    let (part, item) = refused;
    let item = item.clone().unwrap_or_default();
    let no = |reason: DropReason, guard: &str, why: String| Some((LookOutcome::No(reason), refusal(guard, &why)));
    let later = |not_now: NotNow, guard: &str, why: String| Some((LookOutcome::NotNow(not_now), refusal(guard, &why)));
    let because = |item: &Item| match string(item, "reason") {
        "" => String::new(),
        reason => format!(": {reason}"),
    };
    match part {
        Part::Suppression => {
            let active = SuppressionItem::from_item(item).active_reasons(look.now);
            let reasons: Vec<String> = active.into_iter().map(|active| active.reason).collect();
            no(DropReason::Suppressed, "suppressed", format!("the recipient is suppressed: {}", reasons.join(", ")))
        }
        Part::Forgotten if key_is_known => {
            no(DropReason::Forgotten, "forgotten", "the recipient was forgotten".to_owned())
        }
        Part::Campaign => no(DropReason::CampaignPaused, "brake", format!("the campaign is paused{}", because(&item))),
        Part::Domain => {
            no(DropReason::CampaignPaused, "domain", format!("the sending domain is paused{}", because(&item)))
        }
        Part::OptOutClick => {
            let until = opt_outs::until(&item).map(|until| format!(" until {}", until.to_text())).unwrap_or_default();
            let why = format!("the recipient clicked an opt-out or preference link: no follow-up{until}");
            no(DropReason::OptOutClick, "opt_out_click", why)
        }
        Part::Reply => no(DropReason::Stopped, "reply", "the recipient replied".to_owned()),
        Part::SwitchAll => later(NotNow::Paused, "switch", format!("sending is paused{}", because(&item))),
        Part::SwitchCampaign => {
            later(NotNow::CampaignPaused, "switch", format!("sending in this campaign is paused{}", because(&item)))
        }
        Part::Day => later(NotNow::DayLimit, "day_limit", format!("{} were handed over today", look.per_day)),
        Part::Row | Part::Entry | Part::Lock | Part::Places | Part::Forgotten => None,
    }
}

fn refusal(guard: &str, why: &str) -> LookRefusal {
    LookRefusal { guard: guard.to_owned(), why: why.to_owned() }
}

fn brake_key(campaign: &str) -> Item {
    Item::from([("campaign".to_owned(), text(campaign)), ("cohort".to_owned(), text("state"))])
}

fn only_if(condition: &'static str) -> UpdateExpression {
    UpdateExpression { condition: Some(condition), ..UpdateExpression::default() }
}

fn no_switch() -> UpdateExpression {
    UpdateExpression { names: vec![("#kind".to_owned(), "kind".to_owned())], ..only_if("attribute_not_exists(#kind)") }
}

fn not_paused() -> UpdateExpression {
    UpdateExpression {
        names: vec![("#status".to_owned(), "status".to_owned())],
        values: vec![(":paused".to_owned(), text("paused"))],
        ..only_if("attribute_not_exists(#status) OR #status <> :paused")
    }
}

/// No reason of a suppression item is active.
fn not_active(now: UnixMillis) -> UpdateExpression {
    until_is_over("attribute_not_exists(reasons) OR #until <= :now", now)
}

/// No opt-out click blocks a follow-up.
fn not_blocked(now: UnixMillis) -> UpdateExpression {
    until_is_over("attribute_not_exists(#until) OR #until <= :now", now)
}

fn until_is_over(condition: &'static str, now: UnixMillis) -> UpdateExpression {
    UpdateExpression {
        names: vec![("#until".to_owned(), "until".to_owned())],
        values: vec![(":now".to_owned(), number(now.0))],
        ..only_if(condition)
    }
}
