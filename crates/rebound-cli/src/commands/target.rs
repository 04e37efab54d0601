//! The options that name the target of a command.

pub(crate) use rebound_cli::operate::target::TargetArguments;

#[cfg(test)]
mod tests {
    #[test]
    fn the_file_of_dev_has_one_name() {
        assert_eq!(rebound_cli::operate::target::LOCAL_FILE, rebound_dev::LOCAL_FILE);
    }
}
