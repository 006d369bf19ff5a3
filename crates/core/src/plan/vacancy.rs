use super::Verdict;
use crate::situation::Situation;
pub(super) fn clean(_s: &Situation<'_>) -> Verdict { Verdict::DONE }
