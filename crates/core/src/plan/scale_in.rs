use super::Verdict;
use crate::situation::Situation;
pub(super) fn shrink(_s: &Situation<'_>) -> Verdict { Verdict::DONE }
