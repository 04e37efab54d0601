//! Scans a whole table, for the few commands that no key serves: in parallel segments, page by page.
//!
//! Every scan is strongly consistent: an eventually consistent scan may miss an existing row, and then the reports "erased", "exported"
//! or "nothing new" could be wrong. A scan costs one read unit for each 4 KB of the table, whatever its filter
//! (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Scan.html>). No function that processes webhooks scans.

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use rebound::aws::CallError;
use rebound::store::Item;
pub use rebound::store::client::ScanFilter;
use rebound::store::client::{RetryClient, ScanPage};
use tokio::sync::mpsc;

/// Number of segments that are read concurrently.
pub const SEGMENTS: i32 = 8;

/// Maximum number of pages that are buffered for `each`.
const WAITING: usize = 16;

/// Scans a whole table, and calls `each` once per page, in no order: with the items that pass the filter, and the number of items read.
///
/// # Errors
/// The error of a DynamoDB call, or the error that `each` returns, which stops the scan.
pub async fn scan<E: From<CallError>>(
    calls: &RetryClient,
    table: &str,
    wanted: &ScanFilter,
    mut each: impl AsyncFnMut(Vec<Item>, usize) -> Result<(), E>,
) -> Result<(), E> {
    let (sender, mut pages) = mpsc::channel(WAITING);
    let segments: Vec<BoxFuture<'_, Result<(), CallError>>> =
        (0..SEGMENTS).map(|segment| read(calls, table, wanted, segment, sender.clone()).boxed()).collect();
    drop(sender);
    let reading = async {
        let mut reading = stream::iter(segments).buffer_unordered(SEGMENTS.unsigned_abs() as usize);
        while let Some(read) = reading.next().await {
            read?;
        }
        Ok::<(), CallError>(())
    };
    let looking = async {
        while let Some(ScanPage { items, scanned, .. }) = pages.recv().await {
            each(items, scanned).await?;
        }
        Ok::<(), E>(())
    };
    // The first error stops both.
    let reading = async { reading.await.map_err(E::from) };
    tokio::try_join!(reading, looking).map(|_| ())
}

/// Reads one segment, until its end or until the receiver of the pages is dropped.
async fn read(
    calls: &RetryClient,
    table: &str,
    wanted: &ScanFilter,
    segment: i32,
    pages: mpsc::Sender<ScanPage>,
) -> Result<(), CallError> {
    let mut start = None;
    loop {
        let page = calls.scan_page(table, wanted, (segment, SEGMENTS), start).await?;
        let next = page.next.clone();
        if pages.send(page).await.is_err() || next.is_none() {
            return Ok(());
        }
        start = next;
    }
}
