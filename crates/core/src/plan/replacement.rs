use super::Verdict;
use crate::situation::Situation;
pub(super) fn replace(_s: &Situation<'_>) -> Verdict { Verdict::DONE }
