//! What the exit code says. Scripts build on these numbers: they never change their meaning.

use std::process::ExitCode;

/// What the exit code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Ok,
    /// Not done, for the reason printed.
    Failed,
    /// The command line or a value in it cannot be used. clap exits with the same number.
    Usage,
    /// Asked for, and not reached within the time given.
    NotConverged,
    /// No such cluster or member.
    NotFound,
    /// Another manager keeps this cluster.
    InUse,
    /// A second Ctrl-C: members may still run.
    Aborted,
}

/// Printed below every help text.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    failed, for the reason printed
  2    the command line cannot be used
  3    not converged within the time given
  4    no such cluster or member
  5    another manager keeps this cluster
  130  aborted by a second Ctrl-C";

impl Exit {
    const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotConverged => 3,
            Self::NotFound => 4,
            Self::InUse => 5,
            Self::Aborted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_code_is_in_the_help() {
        let all = [Exit::Ok, Exit::Failed, Exit::Usage, Exit::NotConverged, Exit::NotFound, Exit::InUse, Exit::Aborted];
        for exit in all {
            assert!(EXIT_CODES.contains(&format!("\n  {:<5}", exit.code())), "{exit:?}");
        }
    }
}
