use super::Verdict;
use crate::situation::Situation;
pub(super) fn rebuild(_s: &Situation<'_>) -> Verdict { Verdict::DONE }
