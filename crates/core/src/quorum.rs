//! Quorum arithmetic, in one place.

/// How many of `voters` must agree; 1 for an empty cluster, which can never agree.
pub const fn quorum(voters: usize) -> usize {
    voters / 2 + 1
}

/// How many of `voters` may fail while the rest still agrees.
pub const fn tolerance(voters: usize) -> usize {
    voters.saturating_sub(quorum(voters))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_sizes_people_use() {
        let table: Vec<_> = [1, 2, 3, 4, 5, 7, 9].map(|n| (n, quorum(n), tolerance(n))).into();
        assert_eq!(table, [(1, 1, 0), (2, 2, 0), (3, 2, 1), (4, 3, 1), (5, 3, 2), (7, 4, 3), (9, 5, 4)]);
    }

    proptest! {
        #[test]
        fn two_quorums_always_share_a_voter(voters in 1_usize..1000) {
            prop_assert!(2 * quorum(voters) > voters);
            prop_assert!(quorum(voters) + tolerance(voters) == voters);
        }
    }
}
