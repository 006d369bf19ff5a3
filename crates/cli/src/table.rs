//! Tables in the manner of kubectl: no frames, upper-case heads, one row a line however narrow the terminal, so that `grep` and
//! `awk` work on them.

use comfy_table::{Cell, Color, Table, presets::NOTHING};

use etcdop_core::summary::{ClusterPhase, MemberHealth};

use crate::local::report::State;

/// Rows below `heads`; colours are in the text and dropped where it is printed.
pub(crate) fn table(heads: &[&str], rows: impl IntoIterator<Item = Vec<Cell>>) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).force_no_tty().enforce_styling();
    table.set_header(heads.iter().copied());
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

/// A cell for what may be unknown.
pub(crate) fn cell(value: Option<impl ToString>) -> Cell {
    Cell::new(value.map_or_else(|| "-".to_owned(), |value| value.to_string()))
}

/// How a member is, in a word.
pub(crate) fn health(health: MemberHealth) -> Cell {
    let color = match health {
        MemberHealth::Healthy => Color::Green,
        MemberHealth::Joining => Color::Cyan,
        MemberHealth::Silent => Color::Yellow,
        MemberHealth::Dead => Color::Red,
        MemberHealth::Stopped => return Cell::new(health_word(health)),
    };
    Cell::new(health_word(health)).fg(color)
}

/// The same without colour.
pub(crate) const fn health_word(health: MemberHealth) -> &'static str {
    match health {
        MemberHealth::Healthy => "healthy",
        MemberHealth::Joining => "joining",
        MemberHealth::Silent => "silent",
        MemberHealth::Dead => "dead",
        MemberHealth::Stopped => "stopped",
    }
}

/// What a cluster is about, in a word.
pub(crate) fn phase(state: State) -> Cell {
    let cell = Cell::new(state.word());
    match state {
        State::Cluster(ClusterPhase::Running) => cell.fg(Color::Green),
        State::Cluster(ClusterPhase::QuorumLost) => cell.fg(Color::Red),
        State::Cluster(ClusterPhase::Recovering) => cell.fg(Color::Yellow),
        State::Cluster(ClusterPhase::Creating | ClusterPhase::Scaling | ClusterPhase::Updating) => cell.fg(Color::Cyan),
        State::Cluster(ClusterPhase::Pending | ClusterPhase::Hibernated) | State::Down(_) => cell,
    }
}

/// A phase without colour.
pub(crate) const fn phase_word(phase: ClusterPhase) -> &'static str {
    match phase {
        ClusterPhase::Pending => "Pending",
        ClusterPhase::Creating => "Creating",
        ClusterPhase::Running => "Running",
        ClusterPhase::Scaling => "Scaling",
        ClusterPhase::Updating => "Updating",
        ClusterPhase::Recovering => "Recovering",
        ClusterPhase::QuorumLost => "QuorumLost",
        ClusterPhase::Hibernated => "Hibernated",
    }
}

/// Bytes as people write them.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)];
    match UNITS.iter().find(|(_, size)| bytes >= *size) {
        Some((unit, size)) => format!("{}.{} {unit}", bytes / size, bytes % size * 10 / size),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0, "0 B")]
    #[case(999, "999 B")]
    #[case(25_480, "25.4 kB")]
    #[case(2_147_483_648, "2.1 GB")]
    fn bytes_are_short(#[case] size: u64, #[case] text: &str) {
        assert_eq!(bytes(size), text);
    }

    #[test]
    fn a_row_is_a_line_without_blanks_at_its_end() {
        let text = table(&["NAME", "ROLE"], [vec![Cell::new("a-0"), cell(None::<u8>)]]);
        assert_eq!(text, "NAME  ROLE\na-0   -");
    }
}
