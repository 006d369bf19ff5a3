//! Which of the words that are possible somebody probably meant.

/// The possible word that differs least; `None` when all are too different to be meant.
pub(super) fn nearest<'a>(word: &str, possible: &[&'a str]) -> Option<&'a str> {
    let meant =
        possible.iter().map(|&candidate| (distance(&word.to_lowercase(), &candidate.to_lowercase()), candidate));
    let (distance, candidate) = meant.min_by_key(|(distance, _)| *distance)?;
    (distance <= word.chars().count().max(3) / 2).then_some(candidate)
}

/// Characters to insert, delete or exchange.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let exchanged = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = exchanged.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("sice", Some("size"))]
    #[case("Version", Some("version"))]
    #[case("replicas", None)]
    #[case("versoin", Some("version"))]
    #[case("", None)]
    fn a_slip_is_understood_and_another_word_is_not(#[case] word: &str, #[case] meant: Option<&str>) {
        assert_eq!(nearest(word, &["size", "version", "etcd"]), meant);
    }

    #[test]
    fn distances() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "ab"), 2);
    }
}
