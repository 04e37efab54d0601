//! The topic of alerts: does anybody get them?

use rebound::aws::describe;

use super::Check;
use crate::operate::place::{Place, STACK};

const NAME: &str = "who gets the alerts";

/// Counts the subscriptions. One that is not confirmed gets nothing
/// (<https://docs.aws.amazon.com/sns/latest/api/API_GetTopicAttributes.html>).
pub(super) async fn check(place: &Place) -> Check {
    let topic = match place.named("ALERTS_TOPIC_ARN").await {
        Ok(topic) => topic,
        Err(error) => return Check::not_checked(NAME, error.to_string()),
    };
    let asked = place.aws().sns().get_topic_attributes().topic_arn(&topic).send().await;
    let attributes = match asked {
        Ok(answer) => answer.attributes.unwrap_or_default(),
        Err(error) if error.as_service_error().is_some_and(|error| error.is_not_found_exception()) => {
            return Check::fault(NAME, format!("there is no topic {topic}"), "deploy the stack again, which makes it");
        }
        Err(error) => return Check::not_checked(NAME, describe(&error)),
    };
    let number = |name: &str| attributes.get(name).and_then(|number| number.parse::<u64>().ok());
    let (Some(confirmed), pending) = (number("SubscriptionsConfirmed"), number("SubscriptionsPending").unwrap_or(0))
    else {
        return Check::not_checked(NAME, "SNS does not say how many have subscribed");
    };
    let of_stack = if place.stack() == STACK { String::new() } else { format!(" STACK={}", place.stack()) };
    match (confirmed, pending) {
        (0, 0) => Check::warning(
            NAME,
            "nobody: nobody has subscribed to the topic",
            format!(
                "`make deploy PARAMETERS=AlertEmail=you@example.com{of_stack}`, and confirm what AWS mails to you; or subscribe somebody else to the stack's output AlertsTopicArn"
            ),
        ),
        (0, pending) => Check::warning(
            NAME,
            format!("nobody yet: {pending} not confirmed"),
            "follow the link in the mail \"AWS Notification - Subscription Confirmation\", which may be among the spam; where it no longer works, subscribe again, in SNS",
        ),
        (confirmed, 0) => Check::ok(NAME, format!("{confirmed} confirmed")),
        (confirmed, pending) => Check::ok(NAME, format!("{confirmed} confirmed; {pending} not confirmed yet")),
    }
}
