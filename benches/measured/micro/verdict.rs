//! Verdicts, by the number of known events of the email, and by the user agent.

use divan::{Bencher, black_box};
use rebound::policy::limits::VerdictPolicy;
use rebound::policy::verdict::user_agent::class;
use rebound::policy::verdict::{Action, History, OpenOrClick, classify};
use rebound::resend::signature::MessageId;
use rebound::time::UnixMillis;

const PHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
    Version/18.5 Mobile/15E148 Safari/604.1";
const PROXY: &str = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)";
const BOT: &str = "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)";

/// An open or click, this many milliseconds after delivery.
fn seen(number: i64, at: i64) -> OpenOrClick {
    let clicked = number % 3 == 0;
    OpenOrClick {
        message: MessageId::from_verified(format!("msg_{number:027}")),
        action: if clicked { Action::Clicked } else { Action::Opened },
        at: UnixMillis(at),
        link: clicked.then(|| format!("https://northwindgarden.example/bulbs/{}?utm_source=newsletter", number % 12)),
        agent: Some(if clicked { PHONE } else { PROXY }.to_owned()),
        ip: Some(format!("203.0.113.{}", number % 5)),
    }
}

/// Classifies a human's click ten minutes after delivery, with this number of opens and clicks before it, a minute
/// apart.
#[divan::bench(args = [0, 1, 10, 100, 1_000])]
fn judge_after(bencher: Bencher<'_, '_>, number: i64) {
    let history = History {
        delivered_at: Some(UnixMillis(0)),
        seen: (1..=number).map(|index| seen(index, 600_000 + index * 60_000)).collect(),
    };
    let (this, policy) = (seen(0, 600_000), VerdictPolicy::default());
    bencher.bench_local(|| classify(black_box(&this), &history, &policy));
}

/// Classifies a click of a scanner that follows this number of links at the same time.
#[divan::bench(args = [10, 100, 1_000])]
fn judge_in_a_burst(bencher: Bencher<'_, '_>, number: i64) {
    let history = History {
        delivered_at: Some(UnixMillis(0)),
        seen: (1..=number).map(|index| seen(index * 3, 5_000 + index % 900)).collect(),
    };
    let (this, policy) = (seen(0, 5_000), VerdictPolicy::default());
    bencher.bench_local(|| classify(black_box(&this), &history, &policy));
}

/// Classifies a user agent.
#[divan::bench(args = ["a phone", "Gmail's proxy", "a bot"])]
fn agent(bencher: Bencher<'_, '_>, whose: &str) {
    let agent = match whose {
        "a phone" => PHONE,
        "a bot" => BOT,
        _ => PROXY,
    };
    bencher.bench_local(|| class(black_box(Some(agent))));
}
