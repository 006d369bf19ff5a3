//! A sign of life for everything that takes longer than a second. Draws nothing where stderr is no terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

const TURN: Duration = Duration::from_millis(120);

/// A line that turns; gone when dropped.
#[derive(Debug)]
pub(crate) struct Spinner {
    bar: ProgressBar,
}

impl Spinner {
    /// Starts to turn.
    pub(crate) fn start(message: impl Into<String>) -> Self {
        let bar = ProgressBar::new_spinner().with_style(style("{spinner} {wide_msg} {elapsed}"));
        bar.set_message(message.into());
        bar.enable_steady_tick(TURN);
        Self { bar }
    }

    /// Says something else; nothing is made up that nobody sees.
    pub(crate) fn say(&self, message: impl FnOnce() -> String) {
        if !self.bar.is_hidden() {
            self.bar.set_message(message());
        }
    }

    /// Goes away before something else is printed.
    pub(crate) fn end(self) {
        drop(self);
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// A style of indicatif.
pub(crate) fn style(template: &str) -> ProgressStyle {
    // Only a template that does not parse is an error, and the default shows the message too.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
