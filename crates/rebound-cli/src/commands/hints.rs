//! What to do about a failure of AWS's, which says only what went wrong.

use crate::commands::place::TargetArguments;

/// The words of a failure of AWS's, and what to do then.
pub(crate) fn hint(error: &str, place: Option<&TargetArguments>) -> Option<String> {
    let place = place?;
    let has = |sign: &str| error.contains(sign);
    let is_local = place.is_local();
    if has("dispatch failure") && is_local {
        return Some("`rebound dev` does not answer any more: it has stopped, or crashed; start it again".to_owned());
    }
    if has("ResourceNotFoundException") && is_local {
        let doctor = place.command("doctor");
        return Some(format!("another `rebound dev` answers there, or it was started again; {doctor} looks further"));
    }
    if has("ResourceNotFoundException") {
        let doctor = place.command("doctor");
        return Some(format!(
            "is it another stack, or another region? Name it with --stack and --region; {doctor} looks further"
        ));
    }
    let hints = [
        ("dns error", "AWS can't be reached: is the region spelled right (--region), and is there a network?"),
        ("dispatch failure", "AWS can't be reached: check the network and --region"),
        (
            "AccessDenied",
            "these credentials may not do that: name others with --profile; --help says which permissions the command needs",
        ),
        ("ExpiredToken", "the credentials have run out: log in again"),
        ("UnrecognizedClient", "AWS does not know these credentials: log in again, or name a profile with --profile"),
        ("InvalidSignature", "AWS does not accept these credentials: is the secret key right, and the clock?"),
    ];
    hints.into_iter().find(|(sign, _)| has(sign)).map(|(_, hint)| hint.to_owned())
}
