//! Resend's own list.

use rebound::operate::connect::{changes, resend_of};
use rebound::operate::place::Place;
use rebound::operate::suppressions::import::{Read, Report, Unreadable, import};
use rebound::operate::suppressions::lifted::LiftedByHand;
use rebound::resend::ResendError;

use super::{list, note};
use crate::{Failure, output};

/// Takes over whom Resend suppresses.
pub(crate) async fn take_over(place: &Place, by_hand: LiftedByHand) -> Result<Report, Failure> {
    let resend = resend_of(place).await?;
    let all = match resend.suppressions().await {
        Err(ResendError::NotFound(_)) => {
            return Err(
                "Resend does not offer its list to this team yet; what it skips from now on is told by its webhooks"
                    .into(),
            );
        }
        other => other?,
    };
    let note = note(None, "taken over from Resend")?;
    let (changes, unreadable) = changes(all, note.at);
    let unreadable = (0..unreadable).map(|_| Unreadable { line: 0, why: "an entry without an address".to_owned() });
    let progress = output::progress(changes.len() as u64, "entries");
    let read = Read { changes, unreadable: unreadable.collect() };
    let report = import(&list(place), read, by_hand, &note, || progress.inc(1)).await;
    progress.finish_and_clear();
    Ok(report?)
}
