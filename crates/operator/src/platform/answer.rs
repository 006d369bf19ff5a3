//! What an API server's answer says about a change: whether it was made, was not, or whether nobody knows.

use etcdop_engine::outcome::Outcome;
use kube::Error;

/// The answer in words.
pub(crate) fn words(error: &Error) -> String {
    match error {
        Error::Api(status) => status.message.clone(),
        other => chain(other),
    }
}

/// With its causes, which tell what really happened.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

/// The HTTP code of the answer, if there was one.
pub(crate) fn code(error: &Error) -> Option<u16> {
    match error {
        Error::Api(status) => Some(status.code),
        _ => None,
    }
}

/// The object is not there.
pub(crate) fn is_missing(error: &Error) -> bool {
    code(error) == Some(404)
}

/// The object is another one, or of another revision, than was named; or there is one already.
pub(crate) fn is_conflict(error: &Error) -> bool {
    code(error) == Some(409)
}

/// The disruption budget does not allow an eviction now. It does again as soon as the kubelet and the budget's controller have noticed
/// that the member restarted before is ready: a second or two.
pub(crate) fn is_over_budget(error: &Error) -> bool {
    let Error::Api(status) = error else { return false };
    let causes = status.details.iter().flat_map(|details| &details.causes);
    // A server that has too much to do refuses with the same code.
    status.code == 429 && causes.into_iter().any(|cause| cause.reason == "DisruptionBudget")
}

/// What became of a change that was answered so. A server that refused it did not make it.
pub(crate) fn outcome<T>(what: &str, result: Result<T, Error>) -> Outcome {
    match result {
        Ok(_) => Outcome::Done,
        Err(error) => {
            let text = format!("{what}: {}", words(&error));
            if code(&error).is_some_and(|code| (400..500).contains(&code)) {
                Outcome::NotApplied(text)
            } else {
                Outcome::Unknown(text)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn refused(status: Value) -> Error {
        Error::Api(serde_json::from_value(status).unwrap())
    }

    #[rstest]
    #[case::the_budget(json!([{ "reason": "DisruptionBudget", "message": "needs 2 healthy pods and has 2 currently" }]), true)]
    #[case::too_many_requests(json!([]), false)]
    fn an_eviction_waits_for_the_budget_and_not_for_a_busy_server(#[case] causes: Value, #[case] budget: bool) {
        let status = json!({
            "status": "Failure", "code": 429, "reason": "TooManyRequests", "message": "", "details": { "causes": causes }
        });
        assert_eq!(is_over_budget(&refused(status)), budget);
    }
}
