//! Gates: whether a run may begin now. Closed ones are no failure; they say when, or what, would open them.

use std::path::Path;

use chrono::{NaiveTime, Timelike};

use super::settings::Gate;

/// Where Linux tells of batteries and chargers.
const POWER: &str = "/sys/class/power_supply";

/// A daily span of local time, `[from, until)`; over midnight when it ends before it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    from: NaiveTime,
    until: NaiveTime,
}

impl Window {
    /// Reads `22:00-06:00`.
    ///
    /// # Errors
    ///
    /// A sentence about the text.
    ///
    /// # Example
    ///
    /// ```
    /// use highwater::agent::gate::Window;
    /// let night = Window::read("22:00-06:00").unwrap();
    /// let at = |hour, minute| chrono::NaiveTime::from_hms_opt(hour, minute, 0).unwrap();
    /// assert!(night.holds(at(23, 30)) && night.holds(at(0, 0)) && night.holds(at(5, 59)));
    /// assert!(!night.holds(at(6, 0)) && !night.holds(at(21, 59)));
    /// ```
    pub fn read(text: &str) -> Result<Window, String> {
        let time = |text: &str| NaiveTime::parse_from_str(text.trim(), "%H:%M").ok();
        let both = text.split_once('-').and_then(|(from, until)| Some((time(from)?, time(until)?)));
        match both {
            Some((from, until)) if from != until => Ok(Window { from, until }),
            _ => Err(format!("says window = \"{text}\"; a window is written as 22:00-06:00")),
        }
    }

    /// Whether a local time lies in it.
    pub fn holds(&self, time: NaiveTime) -> bool {
        let second = |time: NaiveTime| time.num_seconds_from_midnight();
        let (from, until, time) = (second(self.from), second(self.until), second(time));
        if from < until { (from..until).contains(&time) } else { time >= from || time < until }
    }
}

/// Why a run may not begin at `local`, the time in the host's zone; none when every gate is open.
pub fn closed(gate: &Gate, local: NaiveTime) -> Option<String> {
    if let Some(text) = &gate.window
        && let Ok(window) = Window::read(text)
        && !window.holds(local)
    {
        return Some(format!("outside the window {text}"));
    }
    if gate.needs_power && is_on_battery(Path::new(POWER)) {
        return Some("on battery".to_owned());
    }
    if gate.avoids_metered && is_metered() {
        return Some("the connection is metered".to_owned());
    }
    None
}

/// Whether a battery feeds the machine: one discharges, or there are chargers and none is plugged in.
fn is_on_battery(supplies: &Path) -> bool {
    let Ok(found) = std::fs::read_dir(supplies) else { return false };
    let read = |path: &Path, name: &str| std::fs::read_to_string(path.join(name)).unwrap_or_default();
    let (mut chargers, mut plugged, mut discharging) = (0, 0, false);
    for supply in found.flatten() {
        let path = supply.path();
        match read(&path, "type").trim() {
            "Mains" | "USB" => {
                chargers += 1;
                plugged += i32::from(read(&path, "online").trim() == "1");
            }
            // A mouse has a battery too, and says so.
            "Battery" if read(&path, "scope").trim() != "Device" => {
                discharging |= read(&path, "status").trim() == "Discharging";
            }
            _ => {}
        }
    }
    plugged == 0 && (discharging || chargers > 0)
}

/// Whether NetworkManager calls the connection metered; 1 is yes, 3 a guess that it is.
fn is_metered() -> bool {
    let asked = std::process::Command::new("busctl")
        .args(["--system", "--timeout=2", "get-property", "org.freedesktop.NetworkManager"])
        .args(["/org/freedesktop/NetworkManager", "org.freedesktop.NetworkManager", "Metered"])
        .output();
    asked.is_ok_and(|output| matches!(output.stdout.trim_ascii(), b"u 1" | b"u 3"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_runs_on_battery_when_nothing_is_plugged_in() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_on_battery(dir.path()), "a machine without supplies has power");
        let supply = |name: &str, files: &[(&str, &str)]| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(&path).unwrap();
            for (file, text) in files {
                std::fs::write(path.join(file), format!("{text}\n")).unwrap();
            }
        };
        supply("mouse", &[("type", "Battery"), ("scope", "Device"), ("status", "Discharging")]);
        assert!(!is_on_battery(dir.path()));
        supply("BAT0", &[("type", "Battery"), ("status", "Discharging")]);
        assert!(is_on_battery(dir.path()));
        supply("AC", &[("type", "Mains"), ("online", "1")]);
        assert!(!is_on_battery(dir.path()));
        supply("AC", &[("type", "Mains"), ("online", "0")]);
        assert!(is_on_battery(dir.path()));
    }
}
