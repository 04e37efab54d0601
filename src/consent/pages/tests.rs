use proptest::prelude::*;
use strum::IntoEnumIterator;

use super::*;

const ADDRESS: &str = "ann@example.com";

const PAGES: [Page<'_>; 8] = [
    Page::Ask { address: ADDRESS },
    Page::Stopped { address: ADDRESS },
    Page::Done { address: ADDRESS },
    Page::NotFound,
    Page::BadRequest,
    Page::MethodNotAllowed,
    Page::TooLarge,
    Page::Unavailable,
];

fn all() -> impl Iterator<Item = (Page<'static>, Language, String)> {
    Language::iter().flat_map(|language| PAGES.map(|page| (page, language, page.html(language, "Bloom & Co"))))
}

/// The parts of a text between two marks.
fn between<'a>(text: &'a str, start: &str, end: &str) -> Vec<&'a str> {
    text.split(start).skip(1).filter_map(|rest| Some(rest.split_once(end)?.0)).collect()
}

#[test]
fn the_style_in_the_page_has_the_hash_of_the_policy() {
    for (page, _, html) in all() {
        let styles = between(&html, "<style>", "</style>");
        assert_eq!(styles.len(), 1, "{page:?}");
        let hash = STANDARD.encode(Sha256::digest(styles[0].as_bytes()));
        assert!(CONTENT_SECURITY_POLICY.contains(&format!("style-src 'sha256-{hash}'")), "{page:?}");
    }
}

#[test]
fn a_page_loads_nothing_and_runs_nothing() {
    for (page, language, html) in all() {
        let wrong = ["<script", "<link", "<img", "<iframe", "http", "url(", "@import", " style=", " onclick", "src="];
        for wrong in wrong {
            assert!(!html.contains(wrong), "{wrong} in {page:?}, {language:?}");
        }
        assert!(html.len() < 8_000, "{} bytes", html.len());
    }
}

#[test]
fn a_page_has_its_language_a_title_and_one_heading() {
    for (page, language, html) in all() {
        let why = format!("{page:?} in {language:?}: {html}");
        assert!(html.starts_with(&format!(r#"<!DOCTYPE html><html lang="{}">"#, language.tag())), "{why}");
        assert!(html.contains(r#"<meta name="viewport" content="width=device-width, initial-scale=1">"#), "{why}");
        let (titles, headings) = (between(&html, "<title>", "</title>"), between(&html, "<h1>", "</h1>"));
        assert_eq!((titles.len(), headings.len()), (1, 1), "{why}");
        assert_eq!(
            titles[0],
            ["<bdi>", "</bdi>", "\u{2060}"].iter().fold(headings[0].to_owned(), |text, mark| text.replace(mark, "")),
            "{why}"
        );
        assert!(!html.contains(SENDER) && !html.contains("Bloom & Co"), "{why}");
    }
}

#[test]
fn only_the_question_has_a_button() {
    for (page, language, html) in all() {
        let button = r#"<form method="post"><button type="submit" name="action" value="opt_out">"#;
        let is_question = matches!(page, Page::Ask { .. });
        assert_eq!(html.contains(button), is_question, "{page:?} in {language:?}");
        assert_eq!(html.contains("<form") || html.contains("<button"), is_question, "{page:?} in {language:?}");
    }
}

#[test]
fn whom_it_is_about_and_whom_to_ask_is_on_the_page() {
    for (page, language, html) in all() {
        let is_about_somebody = matches!(page, Page::Ask { .. } | Page::Stopped { .. } | Page::Done { .. });
        assert_eq!(html.contains(ADDRESS), is_about_somebody, "{page:?} in {language:?}");
        if is_about_somebody || page == Page::NotFound {
            assert!(html.contains("<bdi>Bloom &amp; Co</bdi>"), "{page:?} in {language:?}");
        }
    }
    let done = Page::Done { address: ADDRESS }.html(Language::En, "Bloom");
    for words in ["By mistake? Ask <bdi>Bloom</bdi>.", "in the next two days", "reset your password"] {
        assert!(done.contains(words), "{words}: {done}");
    }
}

#[test]
fn every_language_has_texts_of_its_own() {
    for page in PAGES {
        let mut texts: Vec<_> = Language::iter().map(|language| page.html(language, "Bloom")).collect();
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), 6, "{page:?}");
    }
}

#[test]
fn an_address_from_right_to_left_is_isolated() {
    let html = Page::Ask { address: "\u{5d0}\u{202e}@example.com" }.html(Language::En, "\u{202e}evil");
    assert!(html.contains("<bdi dir=\"ltr\">\u{5d0}\u{202e}@example.com</bdi>"));
}

proptest! {
    #[test]
    fn no_address_and_no_sender_gets_out_of_its_place(
        address in "[\\PC<>&\"'/=]{0,40}", sender in "[\\PC<>&\"'{}/=]{0,40}",
    ) {
        let plain = Page::Done { address: "x" }.html(Language::En, "y");
        let html = Page::Done { address: &address }.html(Language::En, &sender);
        for mark in ["<", ">", "\""] {
            prop_assert_eq!(html.matches(mark).count(), plain.matches(mark).count(), "{}: {}", mark, html);
        }
    }
}
