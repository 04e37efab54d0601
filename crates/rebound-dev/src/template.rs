//! Rebound's `template.yaml`, the one definition for local runs and the stack.

use std::sync::OnceLock;

use aws_local::sam::{Template, TemplateError};

const TEXT: &str = include_str!("../../../template.yaml");

/// The local value of `${AWS::StackName}`.
pub(crate) const STACK_NAME: &str = "rebound";

/// The template, parsed once.
///
/// # Errors
/// The template is not valid YAML.
pub fn template() -> Result<&'static Template, TemplateError> {
    static READ: OnceLock<Template> = OnceLock::new();
    match READ.get() {
        Some(read) => Ok(read),
        None => {
            let read = Template::read(TEXT, STACK_NAME)?;
            Ok(READ.get_or_init(|| read))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_local::sam::Schedule;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_template_defines_the_five_tables_of_the_environment() {
        let tables = template().unwrap().tables().unwrap();
        let variables: Vec<&str> = tables.iter().map(|table| table.variable.as_str()).collect();
        for variable in ["EVENTS_TABLE", "SUPPRESSIONS_TABLE", "CAMPAIGNS_TABLE", "RECIPIENTS_TABLE", "AGENDA_TABLE"] {
            assert!(variables.contains(&variable), "{variable}");
        }
        let events = tables.iter().find(|table| table.variable == "EVENTS_TABLE").unwrap();
        assert_eq!(events.name, "rebound-events");
        assert_eq!(events.ttl_attribute.as_deref(), Some("expires_at"));
        assert_eq!(
            events.definition["StreamSpecification"],
            json!({"StreamEnabled": true, "StreamViewType": "NEW_IMAGE"})
        );
    }

    #[test]
    fn a_function_is_found_by_its_binary() {
        assert_eq!(template().unwrap().function_timeout("receive").unwrap(), Duration::from_secs(10));
        assert_eq!(template().unwrap().function_timeout("protect").unwrap(), Duration::from_secs(60));
        assert!(matches!(template().unwrap().function_timeout("nobody"), Err(TemplateError::NoFunction(_))));
    }

    fn row(kind: &str, event: &str) -> Value {
        let keys = json!({ "email_id": { "S": "e" }, "event": { "S": event } });
        let image = json!({ "email_id": { "S": "e" }, "event": { "S": event }, "kind": { "S": kind } });
        json!({ "eventName": "INSERT", "dynamodb": { "Keys": keys, "NewImage": image } })
    }

    #[test]
    fn protect_has_two_mappings_as_the_template_says() {
        let mappings = template().unwrap().mappings().unwrap();
        let by_name = |name| mappings.iter().find(|mapping| mapping.name == name).unwrap();
        for (name, batch_size, window) in [("Urgent", 100, 0), ("Bulk", 1000, 60)] {
            let mapping = by_name(name);
            assert_eq!(mapping.function, "protect");
            assert_eq!(mapping.table, "EVENTS_TABLE");
            assert_eq!((mapping.batch_size, mapping.window), (batch_size, Duration::from_secs(window)));
            assert_eq!(mapping.maximum_record_age, Some(Duration::from_secs(23 * 3_600)));
            assert!(mapping.bisect && mapping.partial_failures);
        }
        assert_eq!(mappings.len(), 2);
    }

    #[test]
    fn a_row_matches_one_mapping_and_rows_of_protect_none() {
        let mappings = template().unwrap().mappings().unwrap();
        let wanted_by = |record: &Value| -> Vec<&str> {
            mappings.iter().filter(|mapping| mapping.wants(record)).map(|mapping| mapping.name.as_str()).collect()
        };
        for (event, expected) in [
            ("email.complained#msg_1", "Urgent"),
            ("email.bounced#msg_1", "Urgent"),
            ("email.delivery_delayed#msg_1", "Bulk"),
            ("email.failed#msg_1", "Urgent"),
            ("domain.updated#msg_1", "Urgent"),
            ("domain.deleted#msg_1", "Urgent"),
            ("email.sent#msg_1", "Bulk"),
            ("email.delivered#msg_1", "Bulk"),
            ("email.opened#msg_1", "Bulk"),
            ("email.clicked#msg_1", "Bulk"),
            ("email.suppressed#msg_1", "Bulk"),
            ("contact.updated#msg_1", "Bulk"),
            ("suppression.removed#msg_1", "Bulk"),
        ] {
            assert_eq!(wanted_by(&row("event", event)), [expected], "{event}");
            for own in ["alert", "poison", "decision"] {
                assert!(wanted_by(&row(own, event)).is_empty(), "{own} {event}");
            }
            for change in ["MODIFY", "REMOVE"] {
                let mut record = row("event", event);
                record["eventName"] = json!(change);
                assert!(wanted_by(&record).is_empty(), "{change} {event}");
            }
        }
        assert_eq!(wanted_by(&row("quarantine", "email.bounced#msg_1")), ["Urgent"]);
        assert_eq!(wanted_by(&row("quarantine", "unknown#msg_1")), ["Urgent"]);
        assert!(wanted_by(&row("event", "contactless.updated#msg_1")).is_empty());
        assert!(wanted_by(&row("event", "email.sentimental#msg_1")).is_empty());
    }

    #[test]
    fn protect_ticks_every_five_minutes_and_act_every_minute() {
        let schedule = |function: &str, seconds| Schedule {
            function: function.to_owned(),
            every: Duration::from_secs(seconds),
            input: json!({ "tick": true }),
        };
        let mut schedules = template().unwrap().schedules().unwrap();
        schedules.sort_by_key(|schedule| schedule.every);
        assert_eq!(schedules, [schedule("act", 60), schedule("protect", 300)]);
    }

    #[test]
    fn opens_and_clicks_are_delayed_and_dead_letters_are_not() {
        let queues = template().unwrap().queues();
        let delay = |variable| queues.iter().find(|queue| queue.variable == variable).unwrap().delay;
        assert_eq!(delay("ENGAGE_QUEUE_URL"), Duration::from_secs(90));
        assert_eq!(delay("ENGAGE_DEAD_LETTERS_URL"), Duration::ZERO);
    }

    #[test]
    fn failed_engage_messages_go_to_the_dead_letters_and_stay_there() {
        let queues = template().unwrap().queues();
        let by_variable = |variable| queues.iter().find(|queue| queue.variable == variable).unwrap();
        let engage = by_variable("ENGAGE_QUEUE_URL");
        assert_eq!(engage.visibility, Duration::from_secs(720));
        assert_eq!(engage.max_receive_count, Some(10));
        let dead_letters = by_variable(engage.dead_letters.as_deref().unwrap());
        assert_eq!(dead_letters.variable, "ENGAGE_DEAD_LETTERS_URL");
        assert_eq!((dead_letters.max_receive_count, dead_letters.dead_letters.as_ref()), (None, None));
        assert_eq!(dead_letters.visibility, Duration::from_secs(30), "SQS's own");
    }
}
