//! Writes by others while an address is forgotten.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use aws_local::faults::{Fault, FaultProxy, Faults, Service};
use aws_sdk_dynamodb::types::AttributeValue;
use rebound::aws::CallError;
use rebound::aws::tables::TableNames;
use rebound::message::alert::wording;
use rebound::policy::suppression::{ChangeEffect, Reason, ReasonDetail, SuppressionChange};
use rebound::resend::recipient::Recipient;
use rebound::resend::signature::MessageId;
use rebound::store::Item;
use rebound::store::agenda::Agenda;
use rebound::store::alerts::alert_key;
use rebound::store::decisions::{Decisions, Occurrence, StoredDecision};
use rebound::store::outbox::Outbox;
use rebound::store::suppressions::Suppressions;
use rebound::store::version::SeenVersion;
use rebound::time::UnixMillis;
use rebound_cli::operate::audit::AuditNote;
use rebound_cli::operate::forget::{EraseCounts, ForgetError, ForgetMode, forget};
use rebound_cli::operate::scan::SEGMENTS;
use rebound_cli::operate::target::Target;
use rebound_dev::stack::{EmbeddedAws, LocalAwsOptions};
use serde_json::json;

use super::{everything, has_ann};
use crate::operate::place;
use crate::support::any_port;

type ForgetResult = Result<BTreeMap<&'static str, EraseCounts>, ForgetError>;

/// The writes of whoever forgets: none until it is asked for one, then one at a time, each after others have written.
const CLOSED: u8 = 0;
const ASKED: u8 = 1;
const OPEN: u8 = 2;

pub(super) struct Scene {
    pub(super) aws: EmbeddedAws,
    /// Others write here, past the proxy.
    pub(super) place: Target,
    pub(super) proxy: FaultProxy,
    pub(super) faults: Faults,
    /// Whoever forgets writes here.
    pub(super) through_proxy: Target,
    pub(super) tables: TableNames,
}

impl Scene {
    pub(super) async fn start() -> Self {
        let aws = EmbeddedAws::start(&LocalAwsOptions::in_memory(), |_| None).await.unwrap();
        let upstream = aws.variable("AWS_ENDPOINT_URL_DYNAMODB").unwrap();
        let faults = Faults::default();
        let proxy = FaultProxy::start(upstream, any_port(), Service::DynamoDb, faults.clone()).await.unwrap();
        let place = place(&aws).await;
        let mut variables = aws.variables().clone();
        variables.insert("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), proxy.url());
        let through_proxy = Target::find(&Default::default(), variables).await.unwrap();
        let tables = place.tables();
        Self { aws, place, proxy, faults, through_proxy, tables }
    }

    async fn put(&self, table: &str, attributes: &[(&str, AttributeValue)]) {
        let put = self.place.aws().dynamodb().put_item().table_name(table);
        let put = attributes.iter().fold(put, |put, (name, value)| put.item(*name, value.clone()));
        put.send().await.unwrap();
    }

    async fn row(&self, table: &str, key: &[(&str, &str)]) -> Item {
        let get = self.place.aws().dynamodb().get_item().table_name(table);
        let get = key.iter().fold(get, |get, (name, value)| get.key(*name, text(value)));
        get.send().await.unwrap().item.unwrap()
    }

    pub(super) async fn forgets(&self, mode: ForgetMode) -> ForgetResult {
        let note = AuditNote { by: "tester".to_owned(), why: "asked".to_owned(), at: UnixMillis::now() };
        let calls = self.through_proxy.calls(Duration::from_secs(60));
        forget(&calls, &self.tables, &recipient("ann@example.com"), &note, mode, |_| ()).await
    }

    /// Forgets, while others write, before each change to a row that was read. They are told whether it is one of the list.
    async fn forgets_while(&self, mut others: impl AsyncFnMut(bool)) -> ForgetResult {
        let gate = Arc::new(AtomicU8::new(CLOSED));
        let (at_gate, mut scans) = (Arc::clone(&gate), 0);
        self.proxy.plan(move |call| {
            scans += usize::from(call.operation == "Scan");
            let changes = scans > 0 && ["PutItem", "UpdateItem"].contains(&call.operation.as_str());
            if !changes || at_gate.compare_exchange(OPEN, CLOSED, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                return None;
            }
            at_gate.store(ASKED, Ordering::SeqCst);
            Some(Fault::Throttle)
        });
        let writing = async {
            loop {
                if gate.load(Ordering::SeqCst) == ASKED {
                    let scans = self.proxy.calls().iter().filter(|call| call.operation == "Scan").count();
                    // The list is the fourth table that is read whole.
                    others(scans > 3 * SEGMENTS.unsigned_abs() as usize).await;
                    gate.store(OPEN, Ordering::SeqCst);
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::select! {
            report = self.forgets(ForgetMode::Forget) => report,
            () = writing => unreachable!("it never ends"),
        }
    }

    /// A decision about Bob: claimed, not made yet, and with Ann in whatever else there may be.
    async fn claimed(&self) -> (Decisions, Occurrence) {
        let occurrence = Occurrence::new("e1", "email.clicked", &[recipient("bob@example.com")]);
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let attributes = [
            ("email_id", text("e1")),
            ("event", text(&occurrence.sort_key())),
            ("kind", text("decision")),
            ("carrier", text("c1")),
            ("claimed_at", AttributeValue::N("1".to_owned())),
            ("refused", text("not to ann@example.com")),
            ("set", AttributeValue::Ss(texts(&["z", "ann@example.com", "b"]))),
            ("list", AttributeValue::L(vec![text("Ann <ann@example.com>"), AttributeValue::Bool(true)])),
            (
                "map",
                AttributeValue::M(Item::from([("b".to_owned(), text("")), ("a".to_owned(), text("ann@example.com"))])),
            ),
        ];
        self.put(&self.tables.events, &attributes).await;
        (Decisions::new(self.place.calls(Duration::from_secs(60)), &self.tables), occurrence)
    }

    pub(super) async fn no_row_has_the_address(&self) {
        let all = everything(&self.place).await;
        let left: Vec<_> = all.iter().filter(|(_, row)| has_ann(row)).collect();
        assert!(left.is_empty(), "{left:#?}");
    }
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

pub(super) fn recipient(address: &str) -> Recipient {
    Recipient::parse(address).unwrap()
}

pub(super) fn complaint(detail: &str, at: i64) -> SuppressionChange {
    let details = ReasonDetail { email_id: None, detail: Some(detail.to_owned()), until: None };
    let message = MessageId::from_verified(format!("msg_{at}"));
    SuppressionChange {
        reason: Reason::Complaint,
        at: UnixMillis(at),
        message,
        effect: ChangeEffect::Suppress(details),
    }
}

#[tokio::test]
async fn concurrent_writes_are_kept_without_the_address() {
    let scene = Scene::start().await;
    let (decisions, occurrence) = scene.claimed().await;
    let list = Suppressions::new(scene.place.calls(Duration::from_secs(60)), &scene.tables.suppressions);
    let carl = recipient("carl@example.com");
    list.merge(&carl, None, None, &complaint("with ann@example.com in copy", 1)).await.unwrap();
    let put = list.find("carl@example.com").await.unwrap().unwrap().seen;
    let receipt = json!({ "why": "ann@example.com clicked too" }).to_string();
    let decided = StoredDecision { receipt, is_settled: false, owner: "c2".to_owned(), at: UnixMillis(2) };

    let (mut of_events, mut of_the_list) = (0, 0);
    let report = scene.forgets_while(async |is_the_list| match (is_the_list, of_events, of_the_list) {
        // Another value of what was read, and then attributes that were not there.
        (false, 0, _) => {
            decisions.outbox().mark_rejected(occurrence.key(), "still not to ann@example.com").await.unwrap();
            of_events += 1;
        }
        (false, 1, _) => {
            decisions.decide(&occurrence, &decided, None).await.unwrap();
            decisions.outbox().mark_published(occurrence.key(), Some("m1"), UnixMillis(3)).await.unwrap();
            of_events += 1;
        }
        (true, _, 0) => {
            list.merge(&carl, None, None, &complaint("again with ann@example.com", 2)).await.unwrap();
            of_the_list += 1;
        }
        _ => {}
    });
    let report = report.await.unwrap();

    let row = scene.row(&scene.tables.events, &[("email_id", "e1"), ("event", &occurrence.sort_key())]).await;
    assert_eq!(row["refused"], text("still not to forgotten"));
    let expected = StoredDecision {
        receipt: json!({ "why": "forgotten clicked too" }).to_string(),
        is_settled: true,
        ..decided.clone()
    };
    assert_eq!(StoredDecision::from_item(&row), Some(expected), "{row:#?}");
    assert_eq!((&row["message_id"], &row["claimed_at"]), (&text("m1"), &AttributeValue::N("1".to_owned())));
    assert_eq!(row["list"], AttributeValue::L(vec![text("forgotten"), AttributeValue::Bool(true)]));
    let item = list.find("carl@example.com").await.unwrap().unwrap();
    let version = |seen: &SeenVersion| match seen {
        SeenVersion::Version(version) => version.as_n().unwrap().parse::<i64>().unwrap(),
        unversioned => panic!("{unversioned:?}"),
    };
    assert_eq!(version(&item.seen), version(&put) + 2, "put, merged, and cut");
    let active = &item.active_reasons(UnixMillis(5))[0];
    assert_eq!((active.at, active.detail.as_deref()), (Some(UnixMillis(2)), Some("again with forgotten")));
    scene.no_row_has_the_address().await;
    assert_eq!((of_events, of_the_list), (2, 1));
    let cut = |table: &str| EraseCounts { read: 0, ..report[table] };
    assert_eq!(cut("events"), EraseCounts { cut: 1, ..EraseCounts::default() });
    assert_eq!(cut("suppressions"), EraseCounts { cut: 1, ..EraseCounts::default() });
}

#[tokio::test]
async fn a_row_that_keeps_changing_is_left_to_the_next_run() {
    let scene = Scene::start().await;
    let (decisions, occurrence) = scene.claimed().await;
    let mut writes = 0;
    let report = scene.forgets_while(async |_| {
        writes += 1;
        decisions.outbox().mark_rejected(occurrence.key(), &format!("{writes} to ann@example.com")).await.unwrap();
    });
    let error = report.await.unwrap_err();
    assert!(matches!(error, ForgetError::CallError(CallError::Transient(_))), "{error:?}");
    assert!(error.to_string().contains("run the command again"), "{error}");
    let row = scene.row(&scene.tables.events, &[("email_id", "e1"), ("event", &occurrence.sort_key())]).await;
    assert_eq!(row["refused"], text(&format!("{writes} to ann@example.com")), "nothing is undone");

    scene.proxy.plan(|_| None);
    assert_eq!(scene.forgets(ForgetMode::Forget).await.unwrap()["events"].cut, 1);
    scene.no_row_has_the_address().await;
}

#[tokio::test]
async fn rows_count_once_after_lost_responses_and_in_a_dry_run() {
    let scene = Scene::start().await;
    scene.claimed().await;
    let body = json!({ "type": "email.clicked", "created_at": "2026-11-20T09:00:00.000Z", "data": { "email_id": "e2", "to": ["ann@example.com"] } });
    let of_hers =
        |event: &str, kind: &str| vec![("email_id", text("e2")), ("event", text(event)), ("kind", text(kind))];
    let mut clicked = of_hers("email.clicked#m1", "event");
    clicked.push(("payload", text(&body.to_string())));
    scene.put(&scene.tables.events, &clicked).await;
    scene.put(&scene.tables.events, &of_hers("verdict#email.clicked#m1", "verdict")).await;
    scene.put(&scene.tables.events, &of_hers("decision#email.clicked#ann@example.com", "decision")).await;
    let list = Suppressions::new(scene.place.calls(Duration::from_secs(60)), &scene.tables.suppressions);
    for address in ["ann@example.com", "carl@example.com"] {
        list.merge(&recipient(address), None, None, &complaint("with ann@example.com in copy", 1)).await.unwrap();
    }

    let before = everything(&scene.place).await;
    let dry = scene.forgets(ForgetMode::DryRun).await.unwrap();
    assert_eq!(everything(&scene.place).await, before, "a dry run writes nothing");
    let mut writes = 0;
    scene.proxy.plan(move |call| {
        let is_write = ["UpdateItem", "DeleteItem"].contains(&call.operation.as_str());
        writes += usize::from(is_write);
        (is_write && writes % 2 == 1).then_some(Fault::LoseAnswer)
    });
    let done = scene.forgets(ForgetMode::Forget).await.unwrap();
    scene.no_row_has_the_address().await;
    let events = EraseCounts { read: 4, deleted: 2, emptied: 1, cut: 1 };
    assert_eq!(dry["events"], events);
    // Its own note is among what it reads.
    assert_eq!(done["events"], EraseCounts { read: 5, ..events });
    let list = EraseCounts { read: 2, deleted: 1, emptied: 0, cut: 1 };
    assert_eq!((dry["suppressions"], done["suppressions"]), (list, EraseCounts { read: 4, ..list }));
}

#[tokio::test]
async fn a_note_about_a_deleted_row_does_not_bring_its_key_back() {
    let scene = Scene::start().await;
    let ann = recipient("ann@example.com");
    let (decisions, _) = scene.claimed().await;
    let occurrence = Occurrence::new("e1", "email.clicked", &[ann]);
    decisions.outbox().mark_published(occurrence.key(), Some("m1"), UnixMillis(3)).await.unwrap();
    decisions.outbox().mark_rejected(occurrence.key(), "why").await.unwrap();

    let calls = scene.place.calls(Duration::from_secs(60));
    let outbox = Outbox::new(calls.clone(), &scene.tables.events);
    let agenda = Agenda::new(calls, &scene.tables.agenda);
    let key = alert_key("e1", "complaint-1");
    outbox.mark_published(key.clone(), None, UnixMillis(3)).await.unwrap();
    outbox.mark_rejected(key.clone(), "why").await.unwrap();
    let alert = wording::quarantine("e1", "m1", "a problem", UnixMillis::now());
    let digests = Agenda::digests(&alert, UnixMillis::now());
    outbox.fold_alert(&key, &agenda, &digests).await.unwrap();

    let left = everything(&scene.place).await;
    assert_eq!(left.len(), 1, "only the claim about Bob: {left:#?}");
}
