//! Reading a whole table, for the few questions of an operator that no key answers: side by side in segments, page by page.
//!
//! Every scan is strongly consistent: an eventually consistent one may pass over a row that is there, and then "erased", "exported" or
//! "nothing new" would not be so. It costs a read unit for each 4 KB of the table, whatever is looked for
//! (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Scan.html>). Nothing that handles a webhook does it.

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use rebound::aws::CallError;
use rebound::store::Item;
pub use rebound::store::client::ScanFilter;
use rebound::store::client::{RetryClient, ScanPage};
use tokio::sync::mpsc;

/// How many segments are read at once.
pub const SEGMENTS: i32 = 8;

/// How many pages may wait to be looked at.
const WAITING: usize = 16;

/// Reads a whole table, and hands over page after page, in no order: the items that are wanted, and how many were read for them.
///
/// # Errors
/// DynamoDB can't be asked, or `each` says stop.
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
    // Whichever fails first ends both.
    let reading = async { reading.await.map_err(E::from) };
    tokio::try_join!(reading, looking).map(|_| ())
}

/// Reads one segment. That nobody looks at the pages any more is its end too.
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
