//! The metrics page as text, and just enough of its grammar to read one family of samples from it.

/// A metrics page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics {
    text: String,
}

/// One sample: its labels and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Name and value of each label, in the page's order.
    pub labels: Vec<(String, String)>,
    /// The value.
    pub value: f64,
}

impl Sample {
    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.as_str())
    }
}

impl Metrics {
    /// Takes the page as the member sent it.
    pub fn new(text: String) -> Self {
        Self { text }
    }

    /// The page as the member sent it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The samples of exactly this name (`etcd_network_active_peers`), in the page's order. A line that cannot be read is left out.
    pub fn samples(&self, name: &str) -> impl Iterator<Item = Sample> {
        self.text.lines().filter_map(move |line| sample(line.strip_prefix(name)?))
    }

    /// The value of the one sample of a family that has no labels.
    pub fn value(&self, name: &str) -> Option<f64> {
        self.samples(name).next().map(|sample| sample.value)
    }
}

/// What follows the name: labels in braces or none, then the value, then perhaps a time.
fn sample(rest: &str) -> Option<Sample> {
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None if rest.starts_with([' ', '\t']) => (Vec::new(), rest),
        // A longer name.
        None => return None,
    };
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some(Sample { labels, value })
}

/// Reads labels up to the closing brace and gives what follows it.
fn labels(mut rest: &str) -> Option<(Vec<(String, String)>, &str)> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', ',']);
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, quoted) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut letters = quoted.char_indices();
        let end = loop {
            match letters.next()? {
                (at, '"') => break at,
                (_, '\\') => match letters.next()?.1 {
                    'n' => value.push('\n'),
                    escaped => value.push(escaped),
                },
                (_, letter) => value.push(letter),
            }
        };
        labels.push((name.trim().to_owned(), value));
        rest = &quoted[end + 1..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"# HELP etcd_network_active_peers The current number of active peer connections.
# TYPE etcd_network_active_peers gauge
etcd_network_active_peers{Local="8e9e05c52164694d",Remote="91bc3c398fb3c146"} 1
etcd_network_active_peers{Local="8e9e05c52164694d",Remote="fd422379fda50e48"} 0
etcd_network_active_peers_of_another_name 7
etcd_server_has_leader 1
etcd_disk_size 1.6777216e+07 1700000000000
odd{text="a \"quoted\", {braced} \\ and\nbroken",empty=""} +Inf
cut{text="short
"#;

    fn page() -> Metrics {
        Metrics::new(PAGE.to_owned())
    }

    #[test]
    fn a_familys_samples_come_with_their_labels() {
        let links: Vec<_> = page()
            .samples("etcd_network_active_peers")
            .map(|sample| (sample.label("Remote").map(str::to_owned), sample.value))
            .collect();
        assert_eq!(links, [(Some("91bc3c398fb3c146".to_owned()), 1.0), (Some("fd422379fda50e48".to_owned()), 0.0)]);
    }

    #[test]
    fn a_family_without_labels_has_one_value() {
        assert_eq!(page().value("etcd_server_has_leader"), Some(1.0));
        assert_eq!(page().value("etcd_disk_size"), Some(16_777_216.0));
        assert_eq!(page().value("etcd_server"), None);
    }

    #[test]
    fn quotes_braces_and_line_breaks_in_labels_are_read() {
        let sample = page().samples("odd").next().unwrap();
        assert_eq!(sample.label("text"), Some("a \"quoted\", {braced} \\ and\nbroken"));
        assert_eq!(sample.label("empty"), Some(""));
        assert!(sample.value.is_infinite());
    }

    #[test]
    fn a_line_cut_short_is_no_sample() {
        assert_eq!(page().samples("cut").count(), 0);
    }
}
