//! Hints for errors of AWS, which say what went wrong, but not what to do.

use crate::commands::target::TargetArguments;

/// Returns what to do about an error, if its text is known.
pub(crate) fn hint(error: &str, target: Option<&TargetArguments>) -> Option<String> {
    let target = target?;
    let has = |sign: &str| error.contains(sign);
    let is_local = target.is_local();
    if has("dispatch failure") && is_local {
        return Some("`rebound dev` does not respond: it was stopped, or crashed; start it again".to_owned());
    }
    if has("ResourceNotFoundException") && is_local {
        let doctor = target.command("doctor");
        return Some(format!("another `rebound dev` runs there, or it was restarted; run {doctor}"));
    }
    if has("ResourceNotFoundException") {
        let doctor = target.command("doctor");
        return Some(format!("is it another stack or region? Name it with --stack and --region; or run {doctor}"));
    }
    let hints = [
        ("dns error", "AWS can't be reached: is the region spelled correctly (--region), and is there a network?"),
        ("dispatch failure", "AWS can't be reached: check the network and --region"),
        (
            "AccessDenied",
            "these credentials lack a permission: name others with --profile; --help lists the permissions of the command",
        ),
        ("ExpiredToken", "the credentials have expired: log in again"),
        ("UnrecognizedClient", "AWS does not know these credentials: log in again, or name a profile with --profile"),
        ("InvalidSignature", "AWS does not accept these credentials: are the secret key and the clock correct?"),
    ];
    hints.into_iter().find(|(sign, _)| has(sign)).map(|(_, hint)| hint.to_owned())
}
