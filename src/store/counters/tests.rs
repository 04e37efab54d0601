use super::*;

fn delivered(message: u8, second: i64) -> Count {
    Count {
        campaign: Campaign::new("a").unwrap(),
        cohort: Cohort::parse("2026-11-23T13").unwrap(),
        counter: Counter::Delivered,
        once: Once::Message { second, hash: MessageHash([message; 8]) },
        expires_at: UnixMillis(i64::from(message)),
    }
}

/// Frozen: under other keys, what is delivered again would not be found, and be counted twice.
#[test]
fn messages_of_the_same_five_seconds_of_receipt_share_a_row_of_the_ledger() {
    let counts: Vec<Count> = [1_795_440_604, 1_795_440_599, 1_795_440_600, 1_795_440_605]
        .into_iter()
        .zip(1..)
        .map(|(s, m)| delivered(m, s))
        .collect();
    let memories = memories(&counts);
    let rows: Vec<(&str, usize, i64)> = memories
        .iter()
        .map(|(key, memory)| match memory {
            Memory::Ledger { messages, expires_at, .. } => (key.as_str(), messages.len(), expires_at.0),
            Memory::Happening { .. } => panic!("a delivery counts per message"),
        })
        .collect();
    assert_eq!(
        rows,
        [
            ("ledger#2026-11-23T13#1795440595", 1, 2),
            ("ledger#2026-11-23T13#1795440600", 2, 3),
            ("ledger#2026-11-23T13#1795440605", 1, 4),
        ]
    );
}
