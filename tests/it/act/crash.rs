//! Any one call of `act`, and of what `protect` does for follow-ups, may fail before it is applied, lose its answer, be
//! shown half, or be the last one of a process. Then time goes on, soon or a day later, under each memory of the local
//! Resend.

use std::io::Write;
use std::time::Duration;

use aws_local::faults::{Call, Fault, Half, HalfResponse, Service};
use futures_util::stream::{self, StreamExt};
use rebound::act::Actor;
use rebound::policy::followup::sending::FollowupStatus;
use rebound::protect::Protector;
use rebound::store::text;
use rebound::time::{days, hours, minutes};
use rebound_dev::resend::{KeyMemory, ResendBehaviour, SENDING_KEY};

use crate::parts::{PARTS, in_parts};
use crate::support::act::{ActHarness, KEY, NOON};

/// Number of concurrent stages in a part, and of points on one stage, one after the other.
const MAX_CONCURRENT: usize = 2;
const SHARED: usize = 10;

const FAULTS: [Fault; 3] = [Fault::RefuseBefore, Fault::LoseAnswer, Fault::KillAfter];

/// Time for which a transaction is half visible.
const HALF: Duration = Duration::from_millis(30);

/// The first, the second or the last item of a transaction becomes visible late, and the response is lost.
const HALVES: [Fault; 3] = [half(0), half(1), half(usize::MAX)];

const fn half(late: usize) -> Fault {
    Fault::ShowHalf(Half { late, span: HALF, response: HalfResponse::None })
}

/// A step of a scenario.
#[derive(Clone, Copy, Debug)]
enum Step {
    Act,
    Tick,
    Webhooks,
    /// The API key changes.
    ChangeKey,
    /// Two minutes pass.
    Later,
}

/// A story of a follow-up, or of a contact that opted out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scenario {
    /// It is accepted immediately, and its webhook comes.
    Plain,
    /// It is accepted, and the answer is lost.
    AnswerLost,
    /// The same, and the webhook comes before the next try.
    WebhookFirst,
    /// The first answer is 503.
    Unclear,
    /// Resend refuses it for a reason that passes.
    Refused,
    /// Resend refuses this email.
    Dropped,
    /// The answer is lost, and the API key is another one then.
    KeyChanged,
    /// A contact is unsubscribed.
    Push,
}

const SCENARIOS: [Scenario; 8] = [
    Scenario::Plain,
    Scenario::AnswerLost,
    Scenario::WebhookFirst,
    Scenario::Unclear,
    Scenario::Refused,
    Scenario::Dropped,
    Scenario::KeyChanged,
    Scenario::Push,
];

impl Scenario {
    const fn steps(self) -> &'static [Step] {
        match self {
            Self::Plain => &[Step::Act, Step::Webhooks],
            Self::AnswerLost | Self::Unclear => &[Step::Act, Step::Later, Step::Act],
            Self::WebhookFirst => &[Step::Act, Step::Webhooks, Step::Later, Step::Act],
            Self::Refused => &[Step::Act, Step::Tick, Step::Later, Step::Act],
            Self::Dropped => &[Step::Act, Step::Tick],
            Self::KeyChanged => &[Step::Act, Step::ChangeKey, Step::Later, Step::Act, Step::Tick],
            Self::Push => &[Step::Act],
        }
    }

    /// The local Resend's reaction to the first email.
    fn first_answer(self) -> Option<ResendBehaviour> {
        let error = |status, name: &str| {
            Some(ResendBehaviour::Error { status, name: name.to_owned(), message: "No.".to_owned() })
        };
        match self {
            Self::Plain | Self::Push => None,
            Self::AnswerLost | Self::WebhookFirst | Self::KeyChanged => Some(ResendBehaviour::LoseAnswer),
            Self::Unclear => Some(ResendBehaviour::Status(503)),
            Self::Refused => error(403, "validation_error"),
            Self::Dropped => error(422, "validation_error"),
        }
    }
}

/// One scenario after the other on one stage, each a week after the one before.
struct CrashStage {
    act: ActHarness,
    processes: Processes,
    key: &'static str,
    week: u32,
}

/// The execution environments: new ones after a crash.
struct Processes {
    act: Actor,
    act_with_another_key: Actor,
    protect: Protector,
}

impl Processes {
    fn start(stage: &ActHarness) -> Self {
        let act_with_another_key = stage.actor_with(&[("RESEND_API_KEY", SENDING_KEY)]);
        Self { act: stage.actor(), act_with_another_key, protect: stage.protector() }
    }
}

impl CrashStage {
    async fn start() -> Self {
        let act = ActHarness::start().await;
        Self { processes: Processes::start(&act), act, key: KEY, week: 0 }
    }

    /// A stage on which the scenario ran once: what is made only once, such as a campaign's brake, is there.
    async fn with_one_before(scenario: Scenario) -> Self {
        let mut stage = Self::start().await;
        stage.prepare(scenario, KeyMemory::default()).await;
        stage.all_of_it(scenario, None).await;
        stage.time_goes_on(&SOON).await;
        stage
    }

    /// Stores what the scenario is about. Returns the follow-up's id.
    async fn prepare(&mut self, scenario: Scenario, memory: KeyMemory) -> String {
        (self.key, self.week) = (KEY, self.week + 1);
        self.act.set_clock(NOON.plus(days(7 * self.week)));
        self.act.resend.remember_keys(memory);
        let address = format!("p{}@example.com", self.week);
        let id = if scenario == Scenario::Push {
            let due = format!("{}#{address}", self.act.now().to_text());
            self.act.put("AGENDA_TABLE", &[("kind", text("push")), ("due", text(due))]).await;
            String::new()
        } else {
            self.act.decide(&format!("e{}", self.week), &address).await
        };
        let mut first = scenario.first_answer();
        self.act.resend.plan(move |method, path| match (method, path) {
            ("POST", "/emails") => first.take(),
            _ => None,
        });
        id
    }

    async fn run(&self) {
        let Processes { act, act_with_another_key, .. } = &self.processes;
        self.act.run(if self.key == KEY { act } else { act_with_another_key }).await;
        self.act.end_rests().await;
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Act => self.run().await,
            Step::Tick => self.act.tick(&self.processes.protect).await,
            Step::Webhooks => self.act.webhooks(&self.processes.protect).await,
            Step::ChangeKey => self.key = SENDING_KEY,
            Step::Later => self.act.advance(minutes(2)),
        }
    }

    /// All steps, with this fault at a call. What was killed stops there.
    async fn all_of_it(&mut self, scenario: Scenario, point: Option<(usize, Fault)>) {
        self.act.faults.plan(move |call| point.filter(|(index, _)| *index == call.index).map(|(_, fault)| fault));
        for step in scenario.steps() {
            if self.is_dead() {
                self.step(*step).await;
                continue;
            }
            let faults = self.act.faults.clone();
            tokio::select! {
                () = self.step(*step) => {}
                () = faults.killed() => {
                    // A call in flight at the crash may still be applied.
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    self.act.end_rests().await;
                    self.processes = Processes::start(&self.act);
                    if matches!(step, Step::Webhooks) {
                        // A batch comes again.
                        self.step(*step).await;
                    }
                }
            }
        }
        if matches!(point, Some((_, Fault::ShowHalf(_)))) {
            tokio::time::sleep(HALF).await;
        }
    }

    fn is_dead(&self) -> bool {
        self.act.faults.counted().1.contains_key(Fault::KillAfter.as_str())
    }

    /// Time goes on: runs and ticks, until nothing is left to do.
    async fn time_goes_on(&mut self, waits: &[Duration]) {
        self.act.faults.plan(|_| None);
        for wait in waits {
            self.act.advance(*wait);
            self.run().await;
            if *wait > hours(1) {
                self.act.tick(&self.processes.protect).await;
            }
        }
    }
}

/// Times of the later runs: soon; or not for a day.
const SOON: [Duration; 2] = [minutes(2), hours(73)];
const A_DAY_LATER: [Duration; 2] = [hours(25), hours(73)];

/// A call of a scenario with a fault, the memory of the local Resend, and the times of the later runs.
struct Point {
    index: usize,
    fault: Fault,
    memory: KeyMemory,
    waits: &'static [Duration],
}

impl CrashStage {
    async fn try_point(&mut self, scenario: Scenario, point: &Point) {
        let Point { index, fault, memory, waits } = point;
        let why = format!("{scenario:?}, {fault:?} at call {index}, {memory:?}, then {waits:?}");
        let id = self.prepare(scenario, *memory).await;
        self.all_of_it(scenario, Some((*index, *fault))).await;
        let (calls, injected) = self.act.faults.counted();
        // A remembered error ends a scenario sooner.
        assert!(!injected.is_empty() || memory.errors, "{why}: {calls} calls, and no fault");
        self.time_goes_on(waits).await;
        let rows = self.act.judge(&why).await;
        let Some(row) = rows.iter().find(|row| row.id == id) else {
            assert_eq!(scenario, Scenario::Push, "{why}: the row is gone");
            return;
        };
        // What can be done safely is done.
        let may_be_unknown = memory.errors || waits == &A_DAY_LATER || scenario == Scenario::KeyChanged;
        if !may_be_unknown && scenario != Scenario::Dropped {
            assert_eq!(row.state.status, FollowupStatus::Sent, "{why}: {:?}", row.state);
        }
    }
}

/// Every fault at every call of a scenario: under every memory, soon and later; or, if not `all`, under every memory
/// where the call is the request for an email, and under one of them elsewhere.
async fn points(scenario: Scenario, all: bool) -> Vec<Point> {
    let mut stage = CrashStage::with_one_before(scenario).await;
    stage.prepare(scenario, KeyMemory::default()).await;
    stage.all_of_it(scenario, None).await;
    let calls: Vec<Call> = stage.act.faults.calls();
    assert!(calls.iter().any(|call| call.service == Service::Http), "{scenario:?}: {calls:?}");
    stage.time_goes_on(&SOON).await;
    stage.act.judge(&format!("{scenario:?}")).await;
    let memories: Vec<KeyMemory> = KeyMemory::all().collect();
    let mut points = Vec::new();
    let mut tried = 0;
    for (index, call) in calls.iter().enumerate() {
        let halves = if call.operation == "TransactWriteItems" { &HALVES[..] } else { &[] };
        for fault in FAULTS.iter().chain(halves) {
            let runs = memories.iter().enumerate().flat_map(|(at, memory)| {
                [&SOON[..], &A_DAY_LATER].into_iter().enumerate().map(move |(when, waits)| (at, *memory, when, waits))
            });
            let is_ours = |at: usize, when: usize| match call.operation.as_str() {
                _ if all => true,
                "emails" => (at + at / 2 + tried + when).is_multiple_of(2),
                _ => at == tried % memories.len() && when == (tried / memories.len() + index) % 2,
            };
            let ours = runs.filter(|(at, _, when, _)| is_ours(*at, *when));
            points.extend(ours.map(|(_, memory, _, waits)| Point { index, fault: *fault, memory, waits }));
            tried += 1;
        }
    }
    let said = format!("act, {scenario:?}: {tried} points at {} calls, {} runs\n", calls.len(), points.len());
    std::io::stderr().write_all(said.as_bytes()).unwrap();
    points
}

async fn try_scenario(scenario: Scenario, all: bool) {
    let points = points(scenario, all).await;
    let shared = stream::iter(points.chunks(SHARED));
    shared
        .for_each_concurrent(MAX_CONCURRENT, |points| async move {
            let mut stage = CrashStage::with_one_before(scenario).await;
            for point in points {
                stage.try_point(scenario, point).await;
            }
        })
        .await;
}

/// Tries the points of one scenario.
async fn any_one_call_may_fail_lose_its_answer_or_be_the_last(part: usize) {
    for scenario in SCENARIOS.into_iter().skip(part).step_by(PARTS) {
        try_scenario(scenario, false).await;
    }
}

in_parts!(any_one_call_may_fail_lose_its_answer_or_be_the_last);

#[tokio::test]
#[ignore = "takes minutes: cargo test --test it act::crash -- --ignored --nocapture"]
async fn any_one_call_under_each_memory() {
    stream::iter(SCENARIOS).for_each_concurrent(2, |scenario| try_scenario(scenario, true)).await;
}
