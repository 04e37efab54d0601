//! Lists of Resend's that are not as they should be: the commands take what can be read, and say what they left.

use std::collections::BTreeMap;

use rebound_cli::operate::connect::NEEDED;
use serde_json::{Value, json};

use super::{Scripted, ScriptedResponse};
use crate::operate::connect::World;
use crate::operate::{CommandOutput, command};

fn page(entries: &[Value], has_more: bool) -> ScriptedResponse {
    (200, json!({ "object": "list", "has_more": has_more, "data": entries }).to_string())
}

fn suppressed(n: usize) -> Value {
    json!({ "id": format!("s{n}"), "email": format!("p{n}@example.com"), "origin": "bounce", "source_id": null,
        "created_at": "2026-10-06 23:47:56.678+00" })
}

/// The variables of a world, with another Resend.
fn with(world: &World, resend: &Scripted) -> BTreeMap<String, String> {
    let mut variables = world.variables();
    variables.insert("RESEND_BASE_URL".to_owned(), resend.url());
    variables
}

/// `import --from-resend`, where the list of suppressions is answered so: for the entry after which a page begins, the page.
async fn imported(
    world: &World,
    mut answer: impl FnMut(Option<&str>) -> ScriptedResponse + Send + 'static,
) -> (CommandOutput, usize) {
    let resend = Scripted::start(move |came| {
        let after = came.path.split_once("after=").map(|(_, after)| after.to_owned());
        answer(after.as_deref())
    });
    let resend = resend.await;
    let said = command(&with(world, &resend), &["suppressions", "import", "--from-resend"], "").await;
    (said, resend.came().len())
}

#[tokio::test]
async fn a_cursor_that_does_not_move_ends_the_list_and_is_said() {
    let world = World::start().await;
    let (said, asked) = imported(&world, |_| page(&[suppressed(1), suppressed(2)], true)).await;
    assert_eq!((said.code, asked), (1, 2), "{said:#?}");
    assert!(said.stdout.contains("2 new or newer") && said.stdout.contains("not read to its end"), "{}", said.stdout);
}

#[tokio::test]
async fn an_entry_without_an_address_is_named_and_the_rest_taken() {
    let world = World::start().await;
    let odd = [json!({ "id": "s2" }), json!({ "id": "s3", "email": 5 }), json!(null)];
    let entries = [&[suppressed(1)][..], &odd, &[json!({ "email": "p9@example.com" })]].concat();
    let (said, _) = imported(&world, move |_| page(&entries, false)).await;
    assert_eq!(said.code, 1);
    for words in
        ["2 new or newer", "entry 2 (s2): no address", "entry 3 (s3)", "entry 4:", "3 entries were not imported"]
    {
        assert!(said.stdout.contains(words), "{words}: {}", said.stdout);
    }
    let check = world.rebound(&["check", "p9@example.com", "--json"]).await.lines();
    assert_eq!(check[0]["reasons"][0]["reason"], "provider", "an entry without an id is taken");
}

#[tokio::test]
async fn of_a_list_that_breaks_off_what_came_is_taken() {
    let world = World::start().await;
    let (said, _) = imported(&world, |after| match after {
        None => page(&[suppressed(1)], true),
        Some(_) => (500, json!({ "statusCode": 500, "name": "application_error", "message": "?" }).to_string()),
    })
    .await;
    assert_eq!(said.code, 1);
    assert!(said.stdout.contains("1 new or newer") && said.stdout.contains("Resend is busy"), "{}", said.stdout);
    let (said, _) = imported(&world, |_| (403, "<html>error code: 1010".to_owned())).await;
    assert!(said.code == 2 && said.stderr.contains("1010"), "the first page: {said:#?}");
}

#[tokio::test]
async fn a_list_that_changes_while_it_is_read_is_read_to_its_end() {
    let world = World::start().await;
    // The entry that the second page should begin after is gone by then, and reading starts over; a new one is there too.
    let (said, _) = imported(&world, |after| match after {
        None => page(&[suppressed(1), suppressed(2)], true),
        Some("s2") => page(&[suppressed(9), suppressed(1)], true),
        Some("s1") => page(&[suppressed(3), suppressed(4)], false),
        Some(other) => panic!("{other}"),
    })
    .await;
    assert_eq!(said.code, 0, "{said:#?}");
    assert!(said.stdout.contains("5 new or newer"), "{}", said.stdout);
}

#[tokio::test]
async fn no_second_webhook_is_made_where_the_first_may_be() {
    let world = World::start().await;
    let other = json!({ "id": "w1", "endpoint": "https://other.example/", "events": NEEDED, "status": "enabled" });
    let unread = json!({ "id": "w2", "endpoint": null });
    for (name, said) in [
        ("an entry without an endpoint", page(&[other.clone(), unread], false)),
        ("pages that don't move on", page(&[other], true)),
    ] {
        let resend = Scripted::start(move |_| said.clone()).await;
        let said = command(&with(&world, &resend), &["connect"], "").await;
        assert_eq!(said.code, 2, "{name}: {said:#?}");
        assert!(resend.came().iter().all(|came| came.method == "GET"), "{name}");
    }
}

#[tokio::test]
async fn an_answer_without_an_end_is_not_read_for_ever() {
    let world = World::start().await;
    let long = format!("{{\"data\":[],\"more\":\"{}", "x".repeat(9 * 1024 * 1024));
    let (said, asked) = imported(&world, move |_| (200, long.clone())).await;
    assert!(said.code == 2 && said.stderr.contains("can't be parsed"), "{}", said.stderr);
    assert_eq!(asked, 1);
}
