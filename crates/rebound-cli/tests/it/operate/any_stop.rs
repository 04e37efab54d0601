//! Any stop, at any moment, in any order with everything else and with `act` at work: nothing is accepted later than
//! one request and 5 s of real time after the stop's write.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use aws_local::function_url;
use fastrand::Rng;
use futures_util::stream::{self, StreamExt};
use rebound::aws::edge::Envelope;
use rebound::consent::Consent;
use rebound::policy::consent_link::{ConsentLink, ConsentPurpose, ConsentUrl};
use rebound::policy::followup::sending::{DropReason, FollowupStatus};
use rebound::receive::Receiver;
use rebound::resend::campaign::Campaign;
use rebound::resend::recipient::Recipient;
use rebound::resend::signed::SignedMessage;
use rebound::store::followups::{Switch, SwitchOf};
use rebound::time::{hours, minutes};
use rebound_cli::operate::audit::AuditNote;
use rebound_cli::operate::followups::{find, stop_all, stop_one, store};
use rebound_cli::operate::forget::{ForgetMode, forget};
use rebound_cli::operate::target::Target;
use rebound_dev::resend::{KeyMemory, ResendBehaviour};
use serde_json::json;

use super::place;
use crate::support::act::{ActHarness, CONSENT_KEY, tag};
use crate::support::protect::{receive, soon};
use crate::support::secret;

/// Number of sequences, each on an AWS of its own.
const SEQUENCES: u64 = 24;

/// Number of follow-ups in a sequence.
const FOLLOWUPS: usize = 4;

/// Time after a stop's write within which a request that was in flight may be accepted.
const IN_FLIGHT: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Complaint,
    HardBounce,
    Unsubscribed,
    OptOut,
    Reject,
    Address,
    Forget,
    Pause,
    PauseCampaign,
}

const STOPS: [Stop; 9] = [
    Stop::Complaint,
    Stop::HardBounce,
    Stop::Unsubscribed,
    Stop::OptOut,
    Stop::Reject,
    Stop::Address,
    Stop::Forget,
    Stop::Pause,
    Stop::PauseCampaign,
];

/// A stop that was stored.
struct StoredStop {
    stop: Stop,
    /// The follow-ups that it stops.
    of: BTreeSet<String>,
    /// Time at which its write had returned.
    at: Instant,
    /// Time at which a person began to lift it.
    until: Option<Instant>,
}

/// A sequence: `act`, and the functions and commands that stop it.
struct Sequence {
    stage: ActHarness,
    target: Target,
    receiver: Receiver,
    consent: Consent,
    rng: Rng,
    /// The follow-ups' ids and their recipients.
    followups: BTreeMap<String, String>,
    stored: Vec<StoredStop>,
}

fn campaign() -> SwitchOf {
    SwitchOf::Campaign(Campaign::new("spring").unwrap())
}

impl Sequence {
    async fn start(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let stage = ActHarness::start().await;
        let target = place(&stage.aws).await;
        let receiver = Receiver::from_environment(|name| stage.aws.variable(name)).await.unwrap();
        let consent = Consent::from_environment(|name| stage.variable(name)).await.unwrap();
        let memory = KeyMemory::all().nth(rng.usize(..8)).unwrap();
        stage.resend.remember_keys(memory);
        let mut answers = rng.fork();
        stage.resend.plan(move |method, path| match (method, path) {
            ("POST", "/emails") => answer(&mut answers),
            _ => None,
        });
        let mut followups = BTreeMap::new();
        for n in 0..FOLLOWUPS {
            let to = format!("p{n}@example.com");
            followups.insert(stage.decide(&format!("e{n}"), &to).await, to);
        }
        Self { stage, target, receiver, consent, rng, followups, stored: Vec::new() }
    }

    /// A webhook that suppresses an address.
    async fn receives(&self, event_type: &str, data: serde_json::Value) {
        let (id, at) = (format!("m{:x}", fastrand::u64(..)), self.stage.now());
        let body = json!({ "type": event_type, "created_at": at.to_text(), "data": data }).to_string();
        let message = SignedMessage::new(id, at.seconds(), body, &secret());
        assert_eq!(receive(&self.receiver, &message, at).await, 200);
    }

    async fn opts_out(&self, address: &str) {
        let keys = CONSENT_KEY.parse().unwrap();
        let link = ConsentLink { recipient: Recipient::parse(address).unwrap(), email_id: None };
        let url: ConsentUrl = "https://mail.example.com".parse().unwrap();
        let link = url.link(ConsentPurpose::OptOut, &link.sign(ConsentPurpose::OptOut, &keys).unwrap());
        let path = link.strip_prefix("https://mail.example.com").unwrap();
        let event = function_url::event("POST", path, &BTreeMap::new(), b"List-Unsubscribe=One-Click");
        let request = serde_json::from_str::<Envelope>(&event.to_string()).unwrap().into_request();
        let response = self.consent.respond(&request, self.stage.now(), soon()).await;
        assert_eq!(response.status(), 200);
    }

    /// Stores a stop of one follow-up, or of all.
    async fn stop(&self, stop: Stop, id: &str) -> StoredStop {
        let (address, at) = (self.followups[id].clone(), self.stage.now());
        let recipient = Recipient::parse(&address).unwrap();
        let note = AuditNote { by: "eva".to_owned(), why: "a test".to_owned(), at };
        let email = json!({ "email_id": "another", "to": [address], "created_at": at.to_text() });
        let followups = store(&self.target);
        let switch = |of| Switch { of, at, by: "eva".to_owned(), reason: String::new() };
        match stop {
            Stop::Complaint => self.receives("email.complained", email).await,
            Stop::HardBounce => {
                let bounce = json!({ "type": "Permanent", "subType": "General", "message": "No such user." });
                let email =
                    json!({ "email_id": "another", "to": [address], "created_at": at.to_text(), "bounce": bounce });
                self.receives("email.bounced", email).await;
            }
            Stop::Unsubscribed => {
                let contact = json!({ "id": "c1", "email": address, "unsubscribed": true, "created_at": at.to_text() });
                self.receives("contact.updated", contact).await;
            }
            Stop::OptOut => self.opts_out(&address).await,
            Stop::Reject => {
                if let Some(row) = find(&followups, id).await.unwrap() {
                    stop_one(&followups, row, &DropReason::Rejected, &note).await.unwrap();
                }
            }
            Stop::Address => drop(stop_all(&followups, &recipient, &note).await.unwrap()),
            Stop::Forget => {
                let (calls, tables) = (self.target.calls(Duration::from_secs(60)), self.target.tables());
                forget(&calls, &tables, &recipient, &note, ForgetMode::Forget, |_| ()).await.unwrap();
            }
            Stop::Pause => followups.pause(&switch(SwitchOf::All)).await.unwrap(),
            Stop::PauseCampaign => followups.pause(&switch(campaign())).await.unwrap(),
        }
        let of = match stop {
            Stop::Pause | Stop::PauseCampaign => self.followups.keys().cloned().collect(),
            _ => BTreeSet::from([id.to_owned()]),
        };
        StoredStop { stop, of, at: Instant::now(), until: None }
    }

    /// A run of `act`, and a stop at any moment of it.
    async fn run_and_stop(&mut self) {
        let stop = STOPS[self.rng.usize(..STOPS.len())];
        let id = self.followups.keys().nth(self.rng.usize(..FOLLOWUPS)).unwrap().clone();
        let after = Duration::from_micros(self.rng.u64(..60_000));
        let stops = async {
            tokio::time::sleep(after).await;
            self.stop(stop, &id).await
        };
        let (_, stored) = tokio::join!(self.stage.act(), stops);
        self.stored.push(stored);
    }

    /// A person lifts the pauses.
    async fn resume(&mut self) {
        let now = Instant::now();
        let pauses = self.stored.iter_mut().filter(|stored| matches!(stored.stop, Stop::Pause | Stop::PauseCampaign));
        pauses.filter(|stored| stored.until.is_none()).for_each(|stored| stored.until = Some(now));
        for of in [SwitchOf::All, campaign()] {
            store(&self.target).resume(&of).await.unwrap();
        }
    }

    async fn step(&mut self) {
        match self.rng.u8(..10) {
            0..=3 => self.run_and_stop().await,
            4 => self.resume().await,
            5 => self.stage.advance(hours(self.rng.u32(1..12))),
            _ => drop(self.stage.act().await),
        }
        self.stage.advance(minutes(self.rng.u32(1..5)));
        self.stage.end_rests().await;
    }

    /// Compares what Resend accepted, and when, with the stops.
    fn is_as_promised(&self, seed: u64) {
        self.stage.none_twice(&format!("seed {seed}"));
        for stored in &self.stored {
            let accepted = self.stage.resend.accepted();
            let late: Vec<Duration> = accepted
                .iter()
                .filter(|email| stored.of.contains(&tag(&email.request, "followup")))
                .filter(|email| email.moment > stored.at && stored.until.is_none_or(|until| email.moment < until))
                .map(|email| email.moment.duration_since(stored.at))
                .collect();
            let why = format!("seed {seed}: after {:?}, {late:?}", stored.stop);
            assert!(late.len() <= 1 && late.iter().all(|late| *late <= IN_FLIGHT), "{why}");
        }
    }
}

/// An answer to a request: most are acceptances, some are lost, some refuse.
fn answer(rng: &mut Rng) -> Option<ResendBehaviour> {
    let error =
        |status, name: &str| ResendBehaviour::Error { status, name: name.to_owned(), message: "No.".to_owned() };
    match rng.u8(..12) {
        0 | 1 => Some(ResendBehaviour::LoseAnswer),
        2 | 3 => Some(ResendBehaviour::Status(503)),
        4 => Some(error(403, "validation_error")),
        5 => Some(error(409, "concurrent_idempotent_requests")),
        6 => Some(ResendBehaviour::AnswerLate(Duration::from_millis(rng.u64(..50)))),
        7 | 8 => Some(ResendBehaviour::EffectLate(Duration::from_millis(rng.u64(..50)))),
        _ => None,
    }
}

async fn sequence(seed: u64) {
    let mut all = Sequence::start(seed).await;
    for _ in 0..all.rng.u8(4..16) {
        all.step().await;
    }
    // Time goes on, past everything.
    all.resume().await;
    for _ in 0..5 {
        all.stage.advance(hours(24));
        all.stage.end_rests().await;
        all.stage.act().await;
    }
    all.is_as_promised(seed);
    for row in all.stage.rows().await {
        let state = &row.state;
        assert!(state.status.is_settled(), "seed {seed}: {state:?}");
        let was_accepted = all.stage.resend.accepted().iter().any(|email| tag(&email.request, "followup") == row.id);
        let says_never = state.status == FollowupStatus::Dropped && !state.is_unclear();
        assert!(!(was_accepted && says_never), "seed {seed}: accepted, and the row says never, {state:?}");
        assert!(was_accepted || state.status != FollowupStatus::Sent, "seed {seed}: never accepted, {state:?}");
    }
}

#[tokio::test]
async fn nothing_is_accepted_after_a_stop_but_what_was_in_flight() {
    stream::iter(0..SEQUENCES).for_each_concurrent(4, sequence).await;
}
