//! Lists as people have them, read by `check` and by `import`.

use rebound::time::UnixMillis;
use rebound_cli::operate::lists::{LineCounts, ListLine, ListOptions, ListReader};
use rebound_cli::operate::suppressions::import::{ParsedList, read};
use serde_json::json;

use super::{command, rebound};
use crate::support::{ReceiveHarness, active_reasons, complaint, signed};

const LISTS: &str = include_str!("../../../../../tests/lists.txt");

/// A list, and what each of its lines comes to.
struct Expected {
    name: &'static str,
    text: String,
    /// An address, with `~` if `import` leaves it out, `!`, `-` or `+`, in the order of the lines.
    lines: Vec<&'static str>,
    /// The error that refuses the whole file.
    refused: Option<&'static str>,
}

fn lists() -> Vec<Expected> {
    LISTS.split("\n=== ").skip(1).map(expected).collect()
}

fn expected(part: &'static str) -> Expected {
    let (name, rest) = part.split_once('\n').unwrap();
    let end = [("(crlf)", "\r\n"), ("(cr)", "\r")].into_iter().find(|(word, _)| name.contains(word));
    let pairs: Vec<(&str, &str)> = rest.lines().filter_map(|line| line.split_once('|')).collect();
    let raw = pairs.iter().map(|(_, raw)| unescaped(raw) + end.map_or("\n", |(_, end)| end));
    let refused = name.split_once("(refused: ").map(|(_, words)| words.trim_end_matches(')'));
    Expected { name, text: raw.collect(), lines: pairs.into_iter().map(|(comes_to, _)| comes_to).collect(), refused }
}

/// A line of the file with its `\t`, `\\` and `\u{…}`.
fn unescaped(raw: &str) -> String {
    let mut parts = raw.split('\\');
    let mut text = parts.next().unwrap().to_owned();
    let mut is_backslash = false;
    for part in parts {
        if std::mem::take(&mut is_backslash) {
            text += part;
        } else if let Some(rest) = part.strip_prefix("u{") {
            let (hex, rest) = rest.split_once('}').unwrap();
            text.push(char::from_u32(u32::from_str_radix(hex, 16).unwrap()).unwrap());
            text += rest;
        } else if let Some(rest) = part.strip_prefix('t') {
            text = text + "\t" + rest;
        } else {
            assert!(part.is_empty(), "{raw}");
            text.push('\\');
            is_backslash = true;
        }
    }
    text
}

/// Reads the lines of a list. Returns them, and the number of each kind.
fn lines(text: &str) -> (Vec<(u64, String)>, LineCounts) {
    let mut reader = ListReader::new(text.as_bytes(), ListOptions::default()).unwrap();
    let read = reader.by_ref().map(|line| match line.unwrap() {
        ListLine::Entry { number, row } => (number, row.recipient.to_string()),
        ListLine::Refused(refused) => {
            assert!(!refused.why.is_empty());
            (refused.line, "!".to_owned())
        }
    });
    (read.collect(), reader.counts())
}

#[test]
fn each_line_of_sixty_lists_is_an_address_or_a_refusal() {
    let lists = lists();
    assert!(lists.len() >= 60, "{}", lists.len());
    for Expected { name, text, lines: expected, refused } in lists {
        if let Some(words) = refused {
            let why = ListReader::new(text.as_bytes(), ListOptions::default()).map(drop).unwrap_err().to_string();
            assert!(why.contains(words), "{name}: {why}");
            assert!(read(text.as_bytes(), UnixMillis(0)).is_err(), "{name}");
            continue;
        }
        let saying = expected.iter().zip(1..).filter(|(line, _)| !matches!(**line, "-" | "+"));
        let saying: Vec<(u64, &str)> = saying.map(|(line, number)| (number, *line)).collect();
        let (found, counts) = lines(&text);
        let plain = |line: &str| line.trim_start_matches('~').to_owned();
        let checked: Vec<(u64, String)> = saying.iter().map(|(number, line)| (*number, plain(line))).collect();
        assert_eq!(found, checked, "{name}");

        let number = |kind: &[&str]| expected.iter().filter(|line| kind.contains(*line)).count() as u64;
        let (refused, empty) = (number(&["!"]), number(&["-"]));
        let lines = expected.len() as u64;
        assert_eq!(counts, LineCounts { lines, refused, empty, read: lines - refused - empty }, "{name}: they add up");

        let now = UnixMillis::parse("2026-11-28T00:00:00Z").unwrap();
        let ParsedList { entries, unreadable, left_out, .. } = read(text.as_bytes(), now).unwrap();
        let imported: Vec<&str> = entries.iter().map(|entry| entry.recipient.as_str()).collect();
        let addresses = saying.iter().map(|(_, line)| *line).filter(|line| *line != "!");
        let (out, taken): (Vec<&str>, Vec<&str>) = addresses.partition(|line| line.starts_with('~'));
        assert_eq!(
            (imported, unreadable.len() as u64),
            (taken, refused),
            "{name}: import reads it alike {unreadable:?}"
        );
        assert_eq!(left_out.values().sum::<usize>(), out.len(), "{name}");
    }
}

#[tokio::test]
async fn an_open_quote_hides_nobody_who_complained() {
    let service = ReceiveHarness::start().await;
    for address in ["ann@example.com", "bob@example.com"] {
        service.accepts(&signed(complaint(address, address)), "handled").await;
    }
    let swallowing =
        "email,name\nzoe@example.com,Zoe\nx@example.com,\"Bob\nann@example.com,Ann\nbob@example.com,\"Eve\"\n";
    let said = command(service.aws.variables(), &["check", "--file", "-"], swallowing).await;
    assert_eq!(said.code, 1);
    assert!(said.stdout.contains("1 of 4 can receive email, 3 must not."), "{}", said.stdout);
    assert!(
        said.stdout.contains("line 3") && said.stdout.contains("1 line has no readable address"),
        "{}",
        said.stdout
    );
    assert!(said.stderr.contains("address in `email` (column 1)"), "it says which column: {}", said.stderr);
    let json = command(service.aws.variables(), &["check", "--file", "-", "--json"], swallowing).await.lines();
    let may: Vec<_> = json.iter().map(|line| (line["line"].as_u64().unwrap(), line["may_send"] == true)).collect();
    assert_eq!(may, [(2, true), (3, false), (4, false), (5, false)]);

    let said = command(service.aws.variables(), &["suppressions", "import", "-"], swallowing).await;
    assert!(said.code == 1 && said.stdout.contains("line 3: a quote"), "{}", said.stdout);
    assert!(
        said.stderr.contains("address in `email` (column 1)") && said.stdout.contains("1 of 5 lines was not read"),
        "{said:?}"
    );
    assert!(service.reasons().await.contains_key("zoe@example.com"), "the others are imported");
}

#[tokio::test]
async fn a_row_without_an_address_is_named_and_is_a_no() {
    let service = ReceiveHarness::start().await;
    let text = "name,email\nAnn,ann@example.com\nBob,\nCho,cho@@example.com\n";
    let said = command(service.aws.variables(), &["check", "--file", "-"], text).await;
    assert_eq!(said.code, 1);
    for words in ["line 3", "line 4", "1 of 3 can receive email, 2 must not.", "2 lines have no readable address"] {
        assert!(said.stdout.contains(words), "{words}: {}", said.stdout);
    }
    let many: String = (0..60).map(|n| format!("r{n}@example.com\n")).chain(["nobody\n".to_owned()]).collect();
    let said = command(service.aws.variables(), &["check", "--file", "-"], &many).await;
    assert!(said.code == 1 && said.stdout.contains("no  line 61"), "{}", said.stdout);
    assert!(!said.stdout.contains("r5@example.com"), "of many, those that are no");
    assert_eq!(service.reasons().await, active_reasons(&[]));
}

#[tokio::test]
async fn a_list_with_nobody_in_it_is_no_success() {
    let service = ReceiveHarness::start().await;
    for (text, words) in
        [("", "the list is empty"), ("email,name\n", "only column names"), ("# nobody\n\n", "comments")]
    {
        for arguments in [&["suppressions", "import", "-"][..], &["check", "--file", "-"]] {
            let said = command(service.aws.variables(), arguments, text).await;
            assert!(said.code == 2 && said.stderr.contains(words), "{arguments:?} {text:?}: {said:?}");
        }
    }
}

#[tokio::test]
async fn other_files_are_refused_with_what_to_do() {
    let service = ReceiveHarness::start().await;
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes, words) in [
        ("list.xlsx", b"PK\x03\x04\x14\x00\x06\x00".to_vec(), "save the sheet"),
        ("list.xls", b"\xd0\xcf\x11\xe0\xa1\xb1".to_vec(), "save the sheet"),
        ("list.html", b"<html><td>ann@example.com</td></html>".to_vec(), "save it as CSV"),
        ("list.json", b"[\"ann@example.com\"]".to_vec(), "one object per line"),
        ("list.bin", b"ann\x00@example.com".to_vec(), "not text"),
    ] {
        let file = folder.path().join(name);
        std::fs::write(&file, bytes).unwrap();
        let file = file.to_str().unwrap();
        for arguments in [&["suppressions", "import", file][..], &["check", "--file", file]] {
            let said = rebound(&service.aws, arguments).await;
            assert!(said.code == 2 && said.stderr.contains(words) && said.stderr.contains(name), "{said:?}");
        }
    }
    let file = folder.path().join("list.csv");
    std::fs::write(&file, "ann@example.com\n").unwrap();
    let said = rebound(&service.aws, &["check", file.to_str().unwrap(), "--json"]).await;
    assert!(
        said.lines()[0]["reasons"][0]["detail"].as_str().unwrap().contains("--file"),
        "a file is no address: {said:?}"
    );
}

#[tokio::test]
async fn an_import_says_how_it_reads_the_file_and_flags_override_it() {
    let service = ReceiveHarness::start().await;
    let bounces = "status,reason,email,created\n5.1.1,550 no such user,ann@example.com,1795439100\n";
    let said = command(service.aws.variables(), &["suppressions", "import", "-"], bounces).await;
    let words =
        "SendGrid bounces: separator ',', UTF-8, address in `email` (column 3), time in `created`, reason hard_bounce.";
    assert!(said.code == 0 && said.stderr.contains(words), "{said:?}");
    assert!(said.stdout.contains("1 entry: 1 new or newer, 0 known already"), "{said:?}");

    let own = "wer|wann|email|Mail 2\nBob|2026-11-01|old@example.com|bob@example.com\n";
    let flags = ["--separator", "|", "--column", "mail_2", "--time-column", "wann", "--as", "complaint", "--json"];
    let arguments = [&["suppressions", "import", "-"][..], &flags[..]].concat();
    let said = command(service.aws.variables(), &arguments, own).await.json();
    let words =
        "a CSV: separator '|', UTF-8, address in `Mail 2` (column 4), time in `wann`, reason complaint, as --as says";
    assert_eq!((&said["read_as"], &said["entries"]), (&json!(words), &json!(1)), "{said}");
    let shown = rebound(&service.aws, &["suppressions", "show", "bob@example.com", "--json"]).await.json();
    assert_eq!(shown["records"]["complaint"]["at"], 1_793_491_200_000_i64, "{shown}");
    assert!(!service.reasons().await.contains_key("old@example.com"));

    // A list of those who may get email suppresses nobody by mistake, and all of them where that is said.
    let subscribed = "Email Address,MEMBER_RATING,LEID,EUID\ncho@example.com,2,1,a\n";
    let said = command(service.aws.variables(), &["suppressions", "import", "-"], subscribed).await;
    assert!(said.code == 2 && said.stderr.contains("the list suppresses no address (subscribed: 1)"), "{said:?}");
    assert!(!service.reasons().await.contains_key("cho@example.com"));
    let said = command(service.aws.variables(), &["suppressions", "import", "-", "--as", "manual"], subscribed).await;
    assert!(said.code == 0 && service.reasons().await.contains_key("cho@example.com"), "{said:?}");

    for (flags, words) in [
        (["--column", "kontakt"], "no column \"kontakt\"; there are status, reason, email, created"),
        (["--time-column", "wann"], "no column \"wann\""),
        (["--encoding", "klingon"], "no encoding of that name"),
        (["--separator", "ab"], "one character"),
        (["--as", "tired"], "there are complaint"),
    ] {
        let arguments = [&["suppressions", "import", "-"][..], &flags[..]].concat();
        let said = command(service.aws.variables(), &arguments, bounces).await;
        assert!(said.code == 2 && said.stderr.contains(words), "{flags:?}: {said:?}");
    }
}

#[tokio::test]
async fn a_list_in_utf_16_or_an_older_encoding_is_read_from_a_file() {
    let service = ReceiveHarness::start().await;
    let folder = tempfile::tempdir().unwrap();
    let text = "email;name\r\nann@example.com;Łukasz\r\nnobody;\r\n";
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (file, bytes, flags, words) in [
        ("list.utf16.csv", [b"\xff\xfe".to_vec(), utf16].concat(), &[][..], "UTF-16LE"),
        ("list.1250.csv", b"email;name\r\nann@example.com;\xa3ukasz\r\nnobody;\r\n".to_vec(), &[], "Windows-1252"),
        (
            "list.1250.csv",
            b"email;name\r\nann@example.com;\xa3ukasz\r\nnobody;\r\n".to_vec(),
            &["--encoding", "windows-1250"],
            "windows-1250",
        ),
    ] {
        let file = folder.path().join(file);
        std::fs::write(&file, bytes).unwrap();
        let arguments = [&["check", "--file", file.to_str().unwrap()][..], flags].concat();
        let said = rebound(&service.aws, &arguments).await;
        assert!(said.stderr.contains(words) && said.stderr.contains("separator ';'"), "{said:?}");
        assert!(said.code == 1 && said.stdout.contains("line 3") && said.stdout.contains("1 of 2 can"), "{said:?}");
        let is_named = said.stderr.contains("line 2 is not UTF-8");
        assert_eq!(is_named, words == "Windows-1252", "{said:?}");
    }
}

#[tokio::test]
async fn an_address_without_a_dot_is_read_and_shown_with_its_line() {
    let service = ReceiveHarness::start().await;
    let text = "email\r\nann@exmaple\r\nbob@example.com\r\n";
    let said = command(service.aws.variables(), &["suppressions", "import", "-"], text).await;
    assert_eq!(said.code, 0, "it is allowed");
    for words in
        ["line 2: \"ann@exmaple\" is read as it is: its domain has no dot", "1 address looks wrong", "2 entries"]
    {
        assert!(said.stdout.contains(words), "{words}: {}", said.stdout);
    }
    let said = command(service.aws.variables(), &["suppressions", "import", "-", "--json"], text).await.json();
    assert_eq!((&said["odd_lines"], &said["odd"][0]["line"]), (&json!(1), &json!(2)), "{said}");
    assert!(service.reasons().await.contains_key("ann@exmaple"));

    let said = command(service.aws.variables(), &["check", "--file", "-"], "ann@exmpale\nbob@example.org\n").await;
    assert!(said.code == 0 && said.stderr.contains("line 1: \"ann@exmpale\": its domain has no dot"), "{said:?}");
    assert!(said.stdout.contains("1 address looks wrong"), "{said:?}");
    let said = command(service.aws.variables(), &["check", "ann@exmpale", "--json"], "").await;
    assert!(said.lines()[0]["odd"].as_str().unwrap().contains("no dot"), "{said:?}");
    let add = ["suppressions", "add", "cho@exmaple", "--reason", "asked on the phone"];
    let said = rebound(&service.aws, &add).await;
    assert!(said.code == 0 && said.stderr.contains("no dot"), "{said:?}");
}
