//! What a person sees on a terminal, which `script` plays here: a view that is redrawn in place, colours, and signs of life.

use std::process::Command;

use crate::{
    home::{Home, Said, binary, etcdop},
    up::Up,
};

/// `etcdop local ARGUMENTS` on a terminal of 150 columns.
fn on_terminal(home: &Home, arguments: &str) -> Command {
    let inside = format!("stty cols 150 rows 40; exec {} local --dir {}", binary().display(), home.path().display());
    let mut command = Command::new("script");
    command.args(["-qefc", &format!("{inside} {arguments}"), "/dev/null"]).env("TERM", "xterm");
    for (variable, _) in etcdop().get_envs() {
        command.env_remove(variable);
    }
    command
}

fn said(command: &mut Command) -> String {
    let said = Said::of(&command.output().unwrap());
    assert_eq!(said.code, Some(0), "{said:?}");
    said.stdout
}

#[test]
fn a_terminal_shows_members_in_place_colours_and_that_it_goes_on() {
    let home = Home::new();
    let mut up = Up::spawn(&mut on_terminal(&home, "up a --size 1"));
    home.await_running("a");

    let waited = said(&mut on_terminal(&home, "scale 3 --wait=2m"));
    assert!(waited.contains(|turn| "⠁⠂⠄⡀⢀⠠⠐⠈".contains(turn)), "nothing turned: {waited:?}");
    assert!(waited.contains("a: size 1 -> 3, done after "), "{waited:?}");

    let colours = "\u{1b}[38;5;";
    assert!(said(&mut on_terminal(&home, "status")).contains(colours));
    let plain = said(on_terminal(&home, "status").env("NO_COLOR", "1"));
    assert!(plain.contains("a-0") && !plain.contains('\u{1b}'), "{plain:?}");

    home.ok(&["down"]);
    let (status, lines) = up.ended();
    assert!(status.success(), "{status} {lines:?}");
    let drawn = lines.join("\n");
    let up_again = "\u{1b}[1A";
    for words in ["a-0", "healthy", "a: Running, 1 of 1 ready", "3 of 3 ready", "stopped, all disks are kept", up_again]
    {
        assert!(drawn.contains(words), "`{words}` is missing in {drawn:?}");
    }
}
