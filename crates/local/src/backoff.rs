//! When an instance that ended is started again: the first time at once, because most ends are accidents; later ones after
//! a wait that doubles, because an etcd that cannot start would otherwise take the machine with it.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);
/// An instance that lived this long was fine; its end is the first of a new row.
const SOUND: Duration = Duration::from_secs(10);

/// The row of short lives of one slot.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    short_lives: u32,
}

impl Backoff {
    /// Takes note of an end and says how long to wait now.
    pub(crate) fn after(&mut self, lived: Duration) -> Duration {
        if lived >= SOUND {
            self.short_lives = 0;
        }
        let wait = match self.short_lives.checked_sub(1) {
            None => Duration::ZERO,
            Some(doublings) => FIRST.saturating_mul(2_u32.saturating_pow(doublings)).min(LONGEST),
        };
        self.short_lives = self.short_lives.saturating_add(1);
        wait
    }

    /// Something changed that may have been the cause.
    pub(crate) fn forgive(&mut self) {
        self.short_lives = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_restart_is_at_once_and_later_ones_wait_up_to_five_seconds() {
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = (0..9).map(|_| backoff.after(Duration::from_secs(1)).as_millis()).collect();
        assert_eq!(waits, [0, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
    }

    #[test]
    fn a_sound_life_and_a_new_cause_start_a_new_row() {
        let mut backoff = Backoff::default();
        let short = Duration::from_millis(1);
        backoff.after(short);
        assert!(!backoff.after(short).is_zero());
        assert!(backoff.after(SOUND).is_zero());
        assert!(!backoff.after(short).is_zero());
        backoff.forgive();
        assert!(backoff.after(short).is_zero());
        for _ in 0..100 {
            assert!(backoff.after(short) <= LONGEST);
        }
    }
}
