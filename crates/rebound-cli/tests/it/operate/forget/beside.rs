//! Changes by hand beside `forget`: none brings an address back, and what was done is printed and noted once, whatever fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_local::faults::{Fault, Half, HalfResponse};
use rebound::policy::suppression::{ChangeEffect, Reason, SuppressionChange};
use rebound::resend::recipient::Recipient;
use rebound::resend::signature::MessageId;
use rebound::store::forgotten::{self, ErasureKey, KEY_ITEM};
use rebound::store::lifts::Lift;
use rebound::store::suppressions::Suppressions;
use rebound::time::UnixMillis;
use rebound_cli::operate::audit::{self, AuditNote};
use rebound_cli::operate::forget::ForgetMode;
use rebound_cli::operate::suppressions::import::{import, read};
use rebound_cli::operate::suppressions::lifted::LiftedByHand;
use rebound_cli::operate::suppressions::restore::{RestoreMode as Restore, RestoreResult};
use rebound_cli::operate::suppressions::{ChangeResult, List};
use rebound_cli::operate::target::Target;

use super::meanwhile::{Scene, complaint, recipient};
use super::{everything, put_forgotten};
use crate::operate::list;

const MANUAL: &str = "ann@example.com\n";
const OLD: &str = "email,reason,at\nann@example.com,complaint,2026-01-01T00:00:00Z\n";

/// A change of the list by an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Add,
    Remove,
    Restore,
    Import(&'static str, LiftedByHand),
}

const DEEDS: [Deed; 6] = [
    Deed::Add,
    Deed::Remove,
    Deed::Restore,
    Deed::Import(MANUAL, LiftedByHand::Stay),
    Deed::Import(OLD, LiftedByHand::Stay),
    Deed::Import(OLD, LiftedByHand::Again),
];

/// Returns the outcome that a change reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Came {
    Changed,
    Unchanged,
    Forgotten,
}

fn note() -> AuditNote {
    AuditNote { by: "tester".to_owned(), why: "asked".to_owned(), at: UnixMillis::now() }
}

fn lift_of(ann: &Recipient) -> Lift {
    let message = MessageId::from_verified("msg_2");
    Lift { received_at: UnixMillis(2), recipient: ann.clone(), reason: Reason::Complaint, message }
}

impl Deed {
    /// The state that must exist before the change.
    async fn prepare(self, place: &Target, ann: &Recipient) {
        let list = list(place);
        let table = Suppressions::new(list.calls.clone(), &list.suppressions);
        let put = async |change: &SuppressionChange| table.merge(ann, None, None, change).await.map(drop).unwrap();
        match self {
            Self::Remove => put(&complaint("once", 1)).await,
            Self::Restore => {
                let lift = SuppressionChange { effect: ChangeEffect::Lift, ..complaint("", 2) };
                put(&complaint("once", 1)).await;
                put(&lift).await;
            }
            Self::Import(_, LiftedByHand::Again) => {
                put(&complaint("once", 1)).await;
                let removed = list.remove(ann, &[], None, &note()).await.unwrap();
                assert_eq!(removed.outcome, ChangeResult::Changed(vec![Reason::Complaint]));
            }
            Self::Add | Self::Import(..) => {}
        }
    }

    async fn done(self, list: &List, place: &Target, key: Option<&ErasureKey>, ann: &Recipient) -> Came {
        let of = |outcome| match outcome {
            ChangeResult::Changed(_) => Came::Changed,
            ChangeResult::Unchanged => Came::Unchanged,
            ChangeResult::Forgotten => Came::Forgotten,
            ChangeResult::Restored => panic!("nobody was to be recalled"),
        };
        match self {
            Self::Add => of(list.add(ann, Reason::Manual, key, &note()).await.unwrap().outcome),
            Self::Remove => of(list.remove(ann, &[Reason::Complaint], key, &note()).await.unwrap().outcome),
            Self::Restore => {
                let agenda = place.table("AGENDA_TABLE");
                match list.restore(agenda, &lift_of(ann), key, &note(), Restore::Restore).await.unwrap() {
                    RestoreResult::Suppressed(_) => Came::Changed,
                    RestoreResult::Unchanged => Came::Unchanged,
                    RestoreResult::Forgotten => Came::Forgotten,
                }
            }
            Self::Import(text, by_hand) => {
                let note = note();
                let text = text.replace("ann@example.com", ann.as_str());
                let read = read(text.as_bytes(), note.at).unwrap();
                let report = import(list, read, by_hand, &note, || ()).await.unwrap();
                assert!(report.lifted.is_empty() && report.unreadable.is_empty(), "{report:?}");
                match (report.changed, report.unchanged, report.forgotten) {
                    (1, 0, 0) => Came::Changed,
                    (0, 1, 0) => Came::Unchanged,
                    (0, 0, 1) => Came::Forgotten,
                    _ => panic!("{report:?}"),
                }
            }
        }
    }
}

/// Each deed has looked already, and has not written yet, when the hash is stored: the first that ever is, or one of several.
#[tokio::test]
async fn a_change_by_hand_does_not_bring_back_who_is_forgotten() {
    for is_first in [true, false] {
        for deed in DEEDS {
            let scene = Scene::start().await;
            let (key, ann) = (ErasureKey::new([9; 32]).unwrap(), recipient("ann@example.com"));
            if !is_first {
                put_forgotten(&scene.aws, &key, &recipient("other@example.com")).await;
            }
            deed.prepare(&scene.place, &ann).await;
            let (reached, stored) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
            let (is_reached, is_stored) = (Arc::clone(&reached), Arc::clone(&stored));
            scene.proxy.plan(move |call| {
                let waits = call.operation == "TransactWriteItems" && !is_stored.load(Ordering::SeqCst);
                is_reached.fetch_or(waits, Ordering::SeqCst);
                waits.then_some(Fault::Conflict)
            });
            let forgets = async {
                while !reached.load(Ordering::SeqCst) {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                put_forgotten(&scene.aws, &key, &ann).await;
                let before = everything(&scene.place).await;
                stored.store(true, Ordering::SeqCst);
                before
            };
            let list = list(&scene.through_proxy);
            let known = (!is_first).then_some(&key);
            let (came, before) = tokio::join!(deed.done(&list, &scene.place, known, &ann), forgets);
            assert_eq!(came, Came::Forgotten, "{deed:?}");
            assert_eq!(everything(&scene.place).await, before, "{deed:?} writes nothing");
        }
    }
}

fn half(late: usize, span: u64, response: HalfResponse) -> Fault {
    Fault::ShowHalf(Half { late, span: Duration::from_millis(span), response })
}

/// Each way in which the first transaction may fail.
fn faults() -> [Fault; 7] {
    let halves =
        [half(0, 30, HalfResponse::None), half(1, 30, HalfResponse::None), half(1, 30, HalfResponse::AfterCommit)];
    let [first, second, third] = halves;
    [Fault::RefuseBefore, Fault::LoseAnswer, Fault::ServerError, Fault::Conflict, first, second, third]
}

/// Lets the first transaction meet its fault.
fn first_meets(scene: &Scene, fault: Fault) {
    let mut is_met = false;
    scene.proxy.plan(move |call| {
        let meets = call.operation == "TransactWriteItems" && !is_met;
        is_met |= meets;
        meets.then_some(fault)
    });
}

#[tokio::test]
async fn a_change_whose_response_is_lost_is_recorded_once() {
    let scene = Scene::start().await;
    let list = list(&scene.through_proxy);
    for (d, deed) in DEEDS.into_iter().enumerate() {
        for (n, fault) in faults().into_iter().enumerate() {
            let who = recipient(&format!("d{d}-{n}@example.com"));
            deed.prepare(&scene.place, &who).await;
            let notes = async || audit::entries(&list.calls, &list.events, who.as_str()).await.unwrap().len();
            let before = notes().await;
            first_meets(&scene, fault);
            assert_eq!(deed.done(&list, &scene.place, None, &who).await, Came::Changed, "{deed:?} {fault:?}");
            let is_noted = !matches!(deed, Deed::Import(_, LiftedByHand::Stay));
            assert_eq!(notes().await - before, usize::from(is_noted), "{deed:?} {fault:?}");
            assert_eq!(deed.done(&list, &scene.place, None, &who).await, Came::Unchanged, "{deed:?} again");
        }
    }
}

#[tokio::test]
async fn who_is_recalled_is_printed_though_the_answer_is_lost() {
    let scene = Scene::start().await;
    let list = list(&scene.through_proxy);
    let key = ErasureKey::new([9; 32]).unwrap();
    for (n, fault) in faults().into_iter().enumerate() {
        let who = recipient(&format!("r{n}@example.com"));
        put_forgotten(&scene.aws, &key, &who).await;
        first_meets(&scene, fault);
        assert_eq!(
            list.remove(&who, &[], Some(&key), &note()).await.unwrap().outcome,
            ChangeResult::Restored,
            "{fault:?}"
        );
        assert_eq!(audit::entries(&list.calls, &list.events, &key.name_of(&who)).await.unwrap().len(), 1, "{fault:?}");
        assert_eq!(list.remove(&who, &[], Some(&key), &note()).await.unwrap().outcome, ChangeResult::Unchanged);
    }
}

async fn notes_of_ann(scene: &Scene) -> usize {
    let calls = scene.place.calls(Duration::from_secs(60));
    let key = forgotten::key(&calls, &scene.tables.suppressions).await.unwrap().unwrap();
    let name = key.name_of(&recipient("ann@example.com"));
    audit::entries(&calls, &scene.tables.events, &name).await.unwrap().len()
}

#[tokio::test]
async fn forget_is_recorded_once_whatever_fails_or_crashes() {
    for fault in faults() {
        let scene = Scene::start().await;
        first_meets(&scene, fault);
        scene.forgets(ForgetMode::Forget).await.unwrap();
        assert_eq!(notes_of_ann(&scene).await, 1, "{fault:?}");
        scene.forgets(ForgetMode::Forget).await.unwrap();
        assert_eq!(notes_of_ann(&scene).await, 1, "{fault:?}, and again");
    }
    // It dies after each of its writes before it reads anything.
    for write in 0..2 {
        let scene = Scene::start().await;
        let mut writes = 0;
        scene.proxy.plan(move |call| {
            let is_write = ["PutItem", "TransactWriteItems"].contains(&call.operation.as_str());
            writes += usize::from(is_write);
            (is_write && writes == write + 1).then_some(Fault::KillAfter)
        });
        tokio::select! {
            report = scene.forgets(ForgetMode::Forget) => panic!("{report:?}"),
            () = scene.faults.killed() => {}
        }
        scene.proxy.plan(|_| None);
        scene.forgets(ForgetMode::Forget).await.unwrap();
        assert_eq!(notes_of_ann(&scene).await, 1, "after {write}");
    }
}

/// Of a change that was made just before the hash was stored, reads may show half for a while.
#[tokio::test]
async fn a_change_shown_half_while_somebody_is_forgotten_is_erased() {
    let scene = Scene::start().await;
    let (list, ann) = (list(&scene.through_proxy), recipient("ann@example.com"));
    let span = 1_500;
    let mut changes = 0;
    scene.proxy.plan(move |call| {
        changes += usize::from(call.operation == "TransactWriteItems");
        (call.operation == "TransactWriteItems" && changes == 1).then_some(half(1, span, HalfResponse::None))
    });
    let past_proxy = Suppressions::new(scene.place.calls(Duration::from_secs(60)), &scene.tables.suppressions);
    let is_made = async {
        while past_proxy.find(ann.as_str()).await.unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let note = note();
    // As if it died then: it is made, and shown half.
    tokio::select! {
        done = list.add(&ann, Reason::Manual, None, &note) => panic!("{done:?}"),
        () = is_made => {}
    }
    scene.forgets(ForgetMode::Forget).await.unwrap();
    scene.no_row_has_the_address().await;
    let left: Vec<String> = everything(&scene.place).await.into_iter().map(|(_, row)| row).collect();
    assert!(left.iter().any(|row| row.contains(KEY_ITEM)), "{left:#?}");
}
