use super::Verdict;
use crate::situation::Situation;
pub(super) fn join(_s: &Situation<'_>) -> Verdict { Verdict::DONE }
