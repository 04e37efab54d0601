//! Commands in alerts and decisions, ready to be copied.

/// Name of the stack on which a command acts if no flag names another.
const DEFAULT_STACK: &str = "rebound";

/// Returns a command of an operator on a stack, such as `rebound suppressions show --stack staging`. Without a name, or
/// with the default one, the command needs no flag.
pub(super) fn command(stack: Option<&str>, words: &str) -> String {
    match stack.filter(|stack| *stack != DEFAULT_STACK) {
        Some(stack) => format!("rebound {words} --stack {stack}"),
        None => format!("rebound {words}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_names_its_stack_unless_it_is_the_default_one() {
        assert_eq!(command(Some("staging"), "doctor"), "rebound doctor --stack staging");
        for default in [None, Some("rebound")] {
            assert_eq!(command(default, "doctor"), "rebound doctor");
        }
    }
}
