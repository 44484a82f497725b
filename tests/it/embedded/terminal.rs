//! Ctrl-C in a real terminal, which goes to every process of the foreground.

use std::process::Command;

use super::site::Site;
use crate::support::database::PROGRAM;
use crate::support::eventually::eventually;

/// A terminal of tmux with a server of its own, so that the user's sessions are left alone.
struct Terminal {
    socket: String,
}

impl Terminal {
    /// A shell in a new terminal; none if there is no tmux, which only a developer's machine may lack.
    fn open(site: &Site) -> Option<Terminal> {
        let socket = site.top().join("tmux").to_str().unwrap().to_owned();
        let mut command = Command::new("tmux");
        command.args(["-S", &socket, "-f", "/dev/null", "new-session", "-d", "-x", "200", "-y", "50"]);
        command.args(["env", "-u", "DATABASE_URL", "PS1=ready> ", "PSQLRC=/dev/null", "PAGER=cat"]);
        command.arg(format!("HIGHWATER_PG_DIR={}", site.directory().display()));
        command.args(["sh"]);
        match command.output() {
            Ok(output) => {
                assert!(output.status.success(), "{output:?}");
                Some(Terminal { socket })
            }
            Err(error) => {
                assert!(std::env::vars_os().all(|(name, _)| name != "CI"), "CI needs tmux: {error}");
                eprintln!("skipped: no tmux: {error}");
                None
            }
        }
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let output = Command::new("tmux").args(["-S", &self.socket]).args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn type_line(&self, line: &str) {
        self.tmux(&["send-keys", "-l", line]);
        self.tmux(&["send-keys", "Enter"]);
    }

    fn press_ctrl_c(&self) {
        self.tmux(&["send-keys", "C-c"]);
    }

    /// Waits until a line of the screen holds `text`, which must not be part of what was typed.
    async fn shows(&self, text: &str) {
        let mut screen = String::new();
        let what = format!("\"{text}\" on the screen");
        let look = || {
            screen = self.tmux(&["capture-pane", "-p"]);
            screen.contains(text).then_some(())
        };
        eventually(&what, look).await;
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = Command::new("tmux").args(["-S", &self.socket, "kill-server"]).output();
    }
}

#[tokio::test]
async fn ctrl_c_ends_the_holder_and_then_the_server() {
    let site = Site::new();
    let Some(terminal) = Terminal::open(&site) else { return };
    let server = site.start().await.unwrap();
    terminal.type_line(&format!("{PROGRAM} postgres url --hold; echo ended with $?"));
    terminal.shows("postgresql://").await;
    drop(server);
    terminal.press_ctrl_c();
    terminal.shows("ended with 0").await;
    drop(terminal);
    site.deserted().await;
}

#[tokio::test]
async fn ctrl_c_in_a_starting_terminal_does_not_reach_the_server() {
    let site = Site::new();
    let Some(terminal) = Terminal::open(&site) else { return };
    terminal.type_line(&format!("{PROGRAM} postgres url --hold; echo ended with $?"));
    terminal.shows("postgresql://").await;
    // Someone else uses the server that was started from the terminal.
    let server = site.start().await.unwrap();
    terminal.press_ctrl_c();
    terminal.shows("ended with 0").await;
    drop(terminal);
    super::site::session(&server).await;
    assert_eq!(site.start().await.unwrap().keeper_pid(), server.keeper_pid());
}

#[tokio::test]
async fn ctrl_c_inside_psql_cancels_the_statement_and_nothing_else() {
    let site = Site::new();
    let Some(terminal) = Terminal::open(&site) else { return };
    let server = site.start().await.unwrap();
    terminal.type_line(&format!("{PROGRAM} postgres psql; echo ended with $?"));
    terminal.shows("highwater=#").await;
    drop(server);
    // No closing semicolon: tmux would take it for its own.
    terminal.type_line("SELECT pg_catalog.pg_sleep(3600) \\g");
    eventually("the statement runs", || {
        site.processes().iter().any(|(_, command)| command.trim_end().ends_with("SELECT")).then_some(())
    })
    .await;
    terminal.press_ctrl_c();
    terminal.shows("ERROR:  canceling statement due to user request").await;
    // psql lives, and holds the lease for longer than the grace period.
    tokio::time::sleep(3 * site.options().grace).await;
    terminal.type_line("SELECT 41 + 1 AS answer \\gx");
    terminal.shows("answer | 42").await;
    terminal.type_line("\\q");
    terminal.shows("ended with 0").await;
    drop(terminal);
    site.deserted().await;
}
