//! Tests with very many cases, split into parts that run in parallel: a single test would use one core for minutes
//! after all others are done.

/// Number of tests that share the cases.
pub(crate) const PARTS: usize = 8;

/// Number of concurrent cases in a part.
pub(crate) const MAX_CONCURRENT: usize = 2;

/// Creates a test for each part of `$cases`, a function of the part's number.
macro_rules! in_parts {
    ($cases:ident) => {
        crate::parts::in_parts!($cases: part_1 0, part_2 1, part_3 2, part_4 3, part_5 4, part_6 5, part_7 6, part_8 7);
    };
    ($cases:ident: $($name:ident $part:literal),+) => {
        $(
            #[tokio::test]
            async fn $name() {
                $cases($part).await;
            }
        )+

        #[test]
        fn every_case_is_in_a_part() {
            assert_eq!([$($part),+], std::array::from_fn::<usize, { crate::parts::PARTS }, _>(|part| part));
        }
    };
}

pub(crate) use in_parts;
