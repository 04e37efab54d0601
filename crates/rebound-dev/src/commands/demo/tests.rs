//! Tests of the demo's whole output.

use super::everything;
use super::print::page;
use crate::output::wrap;

#[tokio::test]
async fn the_demo_fits_every_width_and_ends_with_a_next_step() {
    let reports = everything(false, None).await.unwrap();
    assert_eq!(reports.faults, Vec::<String>::new());
    let page = page(&reports);
    let protect = &reports.protect;
    assert!(page.tables().count() > 10, "{} tables", page.tables().count());
    for table in page.tables() {
        assert_eq!(table.faults(), Vec::<String>::new(), "{}", table.render(80, false));
    }
    let [texts, as_it_is] = page.texts();
    let wide = as_it_is.lines().filter(|line| line.chars().count() > 80);
    assert_eq!(wide.collect::<Vec<_>>(), Vec::<&str>::new(), "lines that are printed as they are");
    assert!(wrap(&texts, 80).iter().all(|line| line.chars().count() <= 80));
    assert!(as_it_is.contains("Next: ") && as_it_is.contains("rebound tail --local"), "the next step");
    // Which limit is which: the large one is README's, the small one is the demo's.
    assert!(
        texts.contains("at 0.3 % of 1000 or more delivered emails (at least 10 complaints), and at 1 % of 200"),
        "{texts}"
    );
    assert!(
        protect.brake.iter().any(|campaign_report| campaign_report.reason.contains("the limit is 1 %")),
        "{:?}",
        protect.brake
    );
    assert!(!texts.contains(" 1 events") && !texts.contains(" 1 requests"));
}
