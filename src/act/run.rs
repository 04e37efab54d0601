//! One run: the lock, the follow-ups that are due, then the contacts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::pace::RequestRate;
use super::requests::ResendRequests;
use super::{ActActivity, ActReport, Actor, Clock};
use crate::aws::CallError;
use crate::aws::secret::Secret;
use crate::config::ActConfig;
use crate::policy::consent_link::ConsentKeys;
use crate::policy::followup::FollowupMode;
use crate::policy::followup::sending::{FollowupStatus, LookRefusal};
use crate::resend::campaign::Campaign;
use crate::store::act_lock::{ActLock, HeldActLock, LockState, RestReason};
use crate::store::agenda::{Agenda, AgendaEntry, AgendaKind};
use crate::store::client::RetryClient;
use crate::store::followups::{FollowupEntry, FollowupStore};
use crate::store::timeline::Timeline;
use crate::time::UnixMillis;

/// Number of entries in one Query.
pub(super) const PAGE: usize = 100;

/// Number of entries among which those are looked for that must be settled while nothing is sent. At most [`PAGE`] rows
/// of them are read in a run.
const HALTED_PAGE: usize = 1_000;

/// Time for which the lock is held, from the start of the run: longer than a run.
const LOCKED: Duration = Duration::from_secs(55);

/// Time that a try may take at most, with the record of its answer. With less time left, no request begins.
const TRY: Duration = Duration::from_secs(15);

/// Time that is left to contacts where some wait: a "no" must not wait until thousands of follow-ups are sent.
const PUSH_RESERVE: Duration = Duration::from_secs(10);

/// Reason why no further follow-up is sent in this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Halt {
    /// `FOLLOWUPS` is not `send`.
    Off,
    /// A person has paused all sending.
    Switch,
    /// The day's limit is reached. Follow-ups that were begun before are finished.
    DayLimit,
    /// All sending rests.
    Rest(RestReason),
    /// No API key, or no key of the links, is known.
    NoKey,
    /// There is no time for another try.
    TimeOver,
    /// Another run holds the lock.
    LockLost,
}

/// The time of a run.
pub(super) struct RunTime<'a> {
    clock: Clock<'a>,
    deadline: Instant,
    /// Time that is left to contacts.
    push_reserve: Duration,
}

impl RunTime<'_> {
    /// The service's time.
    pub(super) fn now(&self) -> UnixMillis {
        (self.clock)()
    }

    /// Time after which no request begins.
    pub(super) fn last_request(&self) -> Instant {
        self.deadline.checked_sub(TRY).unwrap_or(self.deadline)
    }

    /// Time after which no try of a follow-up begins.
    pub(super) fn last_try(&self) -> Instant {
        let last = self.last_request();
        last.checked_sub(self.push_reserve).unwrap_or(last)
    }
}

/// Tasks that were due at the start of a run.
struct DueTasks {
    followups: Vec<FollowupEntry>,
    contacts: Vec<AgendaEntry>,
}

/// A run that holds the lock.
pub(super) struct Run<'a> {
    pub(super) config: &'a ActConfig,
    /// The keys of the unsubscribe links. `None` if nothing is sent.
    pub(super) link_keys: Option<&'a Secret<ConsentKeys>>,
    pub(super) time: RunTime<'a>,
    pub(super) store: FollowupStore,
    pub(super) timeline: Timeline,
    pub(super) agenda: Agenda,
    pub(super) lock: HeldActLock,
    pub(super) requests: ResendRequests<'a>,
    /// Follow-ups that were refused since the last accepted one.
    pub(super) refused: BTreeSet<String>,
    /// Campaigns that a look in this run found paused by a person, with its refusals.
    pub(super) paused: BTreeMap<Campaign, Vec<LookRefusal>>,
    /// Number of tasks that were due at the start, for alerts.
    pub(super) waiting: usize,
    report: ActReport,
}

/// Runs once: nothing, if nothing is due, or another run holds the lock.
pub(super) async fn run(actor: &Actor, clock: Clock<'_>, deadline: Instant) -> ActReport {
    match Run::begin(actor, RunTime { clock, deadline, push_reserve: Duration::ZERO }).await {
        Ok(None) => ActReport::default(),
        Ok(Some((run, tasks, state))) => run.process(tasks, state).await,
        Err(error) => ActReport { did: Vec::new(), errors: vec![error] },
    }
}

impl<'a> Run<'a> {
    /// Reads what is due, and acquires the lock.
    async fn begin(actor: &'a Actor, time: RunTime<'a>) -> Result<Option<(Self, DueTasks, LockState)>, CallError> {
        let started = UnixMillis::now();
        let calls = RetryClient::new(actor.dynamodb.clone(), time.deadline);
        let config = actor.config.as_ref();
        let tables = &config.tables;
        let store = FollowupStore::new(calls.clone(), tables.clone()).with_stack(config.stack.as_deref());
        let agenda = Agenda::new(calls.clone(), &tables.agenda);
        let now = time.now();
        let followups = store.due(now, PAGE).await?;
        let contacts = agenda.due(AgendaKind::Push, now, PAGE).await?;
        let waiting = followups.len() + contacts.len();
        if waiting == 0 {
            return Ok(None);
        }
        let (lock, holder) = (ActLock::new(calls.clone(), &tables.agenda), format!("{:016x}", fastrand::u64(..)));
        let Some((lock, state)) = lock.acquire(holder, UnixMillis::now(), started.plus(LOCKED)).await? else {
            return Ok(None);
        };
        let run = Self {
            config,
            link_keys: actor.link_keys.as_deref(),
            time,
            store,
            timeline: Timeline::new(calls, &tables.events),
            agenda,
            lock,
            requests: ResendRequests::new(&actor.api, &actor.key, RequestRate::new(config.interval, started)),
            refused: BTreeSet::new(),
            paused: BTreeMap::new(),
            waiting,
            report: ActReport::default(),
        };
        Ok(Some((run, DueTasks { followups, contacts }, state)))
    }

    async fn process(mut self, tasks: DueTasks, state: LockState) -> ActReport {
        if !tasks.followups.is_empty() {
            self.record(ActActivity::Due(tasks.followups.len()));
        }
        let worked = self.work(tasks, state).await;
        // Without it, the next run waits until the lock is over.
        let released = self.lock.release(self.requests.rate.next()).await;
        self.report.errors.extend(worked.and(released).err());
        self.report
    }

    pub(super) fn record(&mut self, activity: ActActivity) {
        self.report.did.push(activity);
    }

    async fn work(&mut self, tasks: DueTasks, state: LockState) -> Result<(), CallError> {
        let may_push = state.push_resting_until.is_none_or(|until| until <= UnixMillis::now());
        if may_push && !tasks.contacts.is_empty() {
            self.time.push_reserve = PUSH_RESERVE;
        }
        let halt = self.take_over(state);
        let halt = self.send_due(tasks.followups, halt).await?;
        // A missing key may be the one of the links, which contacts don't need.
        if may_push && !matches!(halt, Some(Halt::LockLost | Halt::Rest(RestReason::Key))) {
            self.push(tasks.contacts).await?;
        }
        Ok(())
    }

    /// Continues with the rate and the rests of earlier runs.
    fn take_over(&mut self, state: LockState) -> Option<Halt> {
        if let Some(at) = state.next_request_at {
            self.requests.rate.not_before(at);
        }
        self.refused = state.refused_in_a_row;
        if self.config.followups != FollowupMode::Send {
            return Some(Halt::Off);
        }
        match state.rest {
            Some((until, RestReason::TooFast)) => {
                self.requests.rate.not_before(until);
                None
            }
            Some((until, because)) if until > UnixMillis::now() => Some(Halt::Rest(because)),
            _ => None,
        }
    }

    /// Looks at what is due, the oldest first. Returns the reason if nothing more is sent in this run.
    async fn send_due(&mut self, due: Vec<FollowupEntry>, halt: Option<Halt>) -> Result<Option<Halt>, CallError> {
        let (mut page, mut halt, mut limit) = (due, halt, PAGE);
        let mut passed = BTreeSet::new();
        while halt.is_none() {
            let (before, is_full) = (passed.len(), page.len() >= limit);
            halt = self.look_at_all(page, None, &mut passed).await;
            if halt.is_none() && (!is_full || passed.len() == before) {
                return Ok(None);
            }
            // What failed stays in front of the others.
            limit = PAGE + self.report.errors.len();
            let size = if halt.is_some() { HALTED_PAGE } else { limit };
            page = self.store.due(self.time.now(), size).await?;
        }
        if matches!(halt, Some(Halt::TimeOver | Halt::LockLost)) {
            return Ok(halt);
        }
        // Nothing more is sent; what is over is settled all the same. What may have been accepted comes first.
        page.retain(|entry| !passed.contains(&entry.id));
        page.sort_by_key(|entry| entry.status != FollowupStatus::Sending);
        page.truncate(PAGE);
        let ended = self.look_at_all(page, halt, &mut passed).await;
        Ok(ended.or(halt))
    }

    /// Looks at these follow-ups. Returns the reason if sending halts, beside the one that is known.
    async fn look_at_all(
        &mut self,
        page: Vec<FollowupEntry>,
        halt: Option<Halt>,
        passed: &mut BTreeSet<String>,
    ) -> Option<Halt> {
        for entry in page {
            if !passed.insert(entry.id.clone()) {
                continue;
            }
            if Instant::now() >= self.time.last_try() {
                return Some(Halt::TimeOver);
            }
            match self.attempt(&entry, halt).await {
                Ok(None) => {}
                Ok(Some(reason)) => return Some(reason),
                Err(error) => self.report.errors.push(error),
            }
        }
        None
    }

    /// Notes an error. The task is passed over.
    pub(super) fn pass_over(&mut self, error: CallError) {
        self.report.errors.push(error);
    }
}
