use proptest::prelude::*;

use super::*;

fn numbers() -> Table {
    let columns = [
        Column::text("campaign"),
        Column::number("sent"),
        Column::number("hard bounces").least(1),
        Column::text("last created (UTC)").least(2),
    ];
    Table::new(columns).with([["launch", "12345", "0.25 %", "2026-11-23T13"], ["x", "7", "–", "2026-11-23T14"]])
}

#[test]
fn numbers_stand_on_the_right_and_texts_on_the_left() {
    let drawn = numbers().render(100, false);
    let expected = "
┌──────────────────────────────────────────────────────┐
│ campaign    sent   hard bounces   last created (UTC) │
╞══════════════════════════════════════════════════════╡
│ launch     12345         0.25 %   2026-11-23T13      │
│ x              7              –   2026-11-23T14      │
└──────────────────────────────────────────────────────┘
";
    assert_eq!(drawn, expected.trim_start());
    assert_eq!(numbers().faults(), Vec::<String>::new());
}

#[test]
fn the_least_important_column_goes_first_and_it_is_said() {
    let drawn = numbers().render(48, false);
    assert!(!drawn.contains("13:00") && !drawn.contains("2026-11-23T13"), "{drawn}");
    assert!(drawn.contains("hard bounces") && drawn.contains("0.25 %"), "{drawn}");
    assert!(drawn.ends_with("Columns omitted: last created (UTC).\n"), "{drawn}");
}

#[test]
fn what_can_neither_fit_nor_go_is_stacked() {
    let columns = (0..9).map(|number| Column::number(format!("number{number}")));
    let table = Table::new(columns).with([(0..9).map(|number| format!("{number}23456789")).collect::<Vec<_>>()]);
    let drawn = table.render(80, false);
    assert!(drawn.contains("\nnumber8  823456789\n"), "{drawn}");
    assert_eq!(table.faults(), Vec::<String>::new());
}

#[test]
fn broken_words_lost_words_and_wide_lines_are_found() {
    let table = Table::new([Column::text("what"), Column::text("why").least(1)]).with([["delivered", "it was"]]);
    let faults = |drawn: &str| table.faults_of(drawn, 80);
    assert_eq!(faults("│ what  why │\n│ delivered  it was │"), Vec::<String>::new());
    assert_eq!(
        faults("│ what  why │\n│ deliv  it │\n│ ered  was │").len(),
        3,
        "two halves, and the whole that is lost"
    );
    assert_eq!(faults(&format!("delivered it was{}", " ".repeat(70))).len(), 1);
    assert_eq!(faults("delivered\nColumns omitted: why."), Vec::<String>::new());
    assert_eq!(table.faults_of("delivered\nColumns omitted: why.", 140).len(), 1, "there is room");
}

proptest! {
    #[test]
    fn no_table_has_a_wide_line_or_a_broken_or_lost_word(
        columns in prop::collection::vec(("[a-z]{1,9}( [a-z]{1,9})?", any::<bool>(), 0_u8..3), 1..12),
        words in prop::collection::vec("[a-zA-Z0-9@.:-]{1,40}|[äöüß€漢字]{1,8}", 1..60),
        several in 1_usize..12,
        rows in 0_usize..6,
    ) {
        let made = columns.iter().map(|(head, is_number, least)| {
            let column = if *is_number { Column::number(head) } else { Column::text(head) };
            column.least(*least)
        });
        let mut table = Table::new(made);
        let mut words = words.iter().cycle();
        for _ in 0..rows {
            let cells: Vec<String> = columns.iter().map(|(_, is_number, _)| {
                let several = if *is_number { 1 } else { several };
                words.by_ref().take(several).cloned().collect::<Vec<_>>().join(" ")
            }).collect();
            table.add(cells);
        }
        let mut faults = table.faults();
        // Optional columns are omitted even in a wide table if its texts are too long.
        faults.retain(|fault| !fault.contains(", omitted: ") && !fault.contains(", lost: "));
        prop_assert!(faults.is_empty(), "{faults:#?}");
    }
}
