use super::Verdict;
use crate::situation::Situation;
pub(super) fn ensure(_s: &Situation<'_>) -> Verdict { Verdict::DONE }
