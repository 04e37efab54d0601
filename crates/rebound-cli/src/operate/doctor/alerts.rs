//! The alerts topic: does it have a confirmed subscription?

use rebound::aws::describe;

use super::Check;
use crate::operate::target::{STACK, Target};

const NAME: &str = "who gets the alerts";

/// Counts the subscriptions. A subscription that is not confirmed gets nothing
/// (<https://docs.aws.amazon.com/sns/latest/api/API_GetTopicAttributes.html>).
pub(super) async fn check(target: &Target) -> Check {
    let topic = match target.lookup("ALERTS_TOPIC_ARN").await {
        Ok(topic) => topic,
        Err(error) => return Check::not_checked(NAME, error.to_string()),
    };
    let asked = target.aws().sns().get_topic_attributes().topic_arn(&topic).send().await;
    let attributes = match asked {
        Ok(answer) => answer.attributes.unwrap_or_default(),
        Err(error) if error.as_service_error().is_some_and(|error| error.is_not_found_exception()) => {
            return Check::fault(
                NAME,
                format!("the topic {topic} does not exist"),
                "deploy the stack again, which creates it",
            );
        }
        Err(error) => return Check::not_checked(NAME, describe(&error)),
    };
    let number = |name: &str| attributes.get(name).and_then(|number| number.parse::<u64>().ok());
    let (Some(confirmed), pending) = (number("SubscriptionsConfirmed"), number("SubscriptionsPending").unwrap_or(0))
    else {
        return Check::not_checked(NAME, "SNS did not return the number of subscriptions");
    };
    let of_stack = if target.stack() == STACK { String::new() } else { format!(" STACK={}", target.stack()) };
    match (confirmed, pending) {
        (0, 0) => Check::warning(
            NAME,
            "no one: the topic has no subscriptions",
            format!(
                "`make deploy PARAMETERS=AlertEmail=you@example.com{of_stack}`, and confirm the email that AWS sends you; or add another subscription to the topic in the stack's output AlertsTopicArn"
            ),
        ),
        (0, pending) => Check::warning(
            NAME,
            format!("no one yet: {pending} not confirmed"),
            "follow the link in the email \"AWS Notification - Subscription Confirmation\", which may be in the spam folder; if the link has expired, subscribe again in SNS",
        ),
        (confirmed, 0) => Check::ok(NAME, format!("{confirmed} confirmed")),
        (confirmed, pending) => Check::ok(NAME, format!("{confirmed} confirmed; {pending} not confirmed yet")),
    }
}
