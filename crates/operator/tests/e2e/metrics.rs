//! What an operator has counted, as Prometheus would read it.

use std::collections::BTreeMap;

/// One page of metrics.
#[derive(Debug)]
pub(crate) struct Page(String);

/// Requests to the API server of one kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Requests {
    pub(crate) verb: String,
    pub(crate) group: String,
    pub(crate) resource: String,
    pub(crate) code: String,
}

impl Page {
    pub(crate) const fn new(text: String) -> Self {
        Self(text)
    }

    /// All series of this name with their values.
    pub(crate) fn series(&self, name: &str) -> Vec<(BTreeMap<String, String>, f64)> {
        let lines = self.0.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let (labels, value) = match rest.strip_prefix('{') {
                Some(rest) => rest.split_once("} ")?,
                None => ("", rest.strip_prefix(' ')?),
            };
            let labels = labels.split(',').filter_map(|label| label.split_once('='));
            let labels = labels.map(|(key, value)| (key.to_owned(), value.trim_matches('"').to_owned()));
            Some((labels.collect(), value.parse().ok()?))
        });
        lines.collect()
    }

    /// How many requests of each kind there were.
    pub(crate) fn requests(&self) -> BTreeMap<Requests, u64> {
        let series = self.series("etcd_operator_api_requests_total").into_iter().map(|(labels, count)| {
            let label = |key: &str| labels.get(key).cloned().unwrap_or_default();
            let (verb, group, resource, code) = (label("verb"), label("group"), label("resource"), label("code"));
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number of requests")]
            let count = count as u64;
            (Requests { verb, group, resource, code }, count)
        });
        series.collect()
    }

    /// How many requests were meant to change something.
    pub(crate) fn writes(&self) -> BTreeMap<Requests, u64> {
        let mut requests = self.requests();
        requests.retain(|request, _| !matches!(request.verb.as_str(), "get" | "list" | "watch"));
        requests
    }
}
