//! Which of the words that are possible somebody probably meant.

/// The possible word that differs least; `None` when all are too different to be meant.
pub(super) fn nearest<'a>(word: &str, possible: &[&'a str]) -> Option<&'a str> {
    let meant =
        possible.iter().map(|&candidate| (distance(&word.to_lowercase(), &candidate.to_lowercase()), candidate));
    let (distance, candidate) = meant.min_by_key(|(distance, _)| *distance)?;
    let close = distance <= word.chars().count().max(3) / 2;
    (close || shortens(word, candidate)).then_some(candidate)
}

/// Whether something was left out and nothing else changed, as in `quotaBytes` for `quotaBackendBytes`.
fn shortens(word: &str, whole: &str) -> bool {
    let mut rest = whole.chars();
    word.chars().count() > 3 && word.chars().all(|c| rest.any(|candidate| candidate == c))
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
    #[case("sz", None)]
    #[case("quotaBytes", Some("quotaBackendBytes"))]
    fn a_slip_is_understood_and_another_word_is_not(#[case] word: &str, #[case] meant: Option<&str>) {
        assert_eq!(nearest(word, &["size", "version", "etcd", "quotaBackendBytes"]), meant);
    }

    #[test]
    fn distances() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "ab"), 2);
    }
}
