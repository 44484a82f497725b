//! A host whose backups are tried without a server.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use highwater::agent::graph::Cancel;
use highwater::agent::outbox::{Bounds, Outbox, Place, Shelf};
use highwater::agent::run::{Task, Verdict, attempt};
use highwater::agent::{HostClock, archive};
use highwater::ground::wire::event::Event;
use highwater::ground::wire::fact::Fact;
use highwater::ground::wire::id::RecordId;
use highwater::ground::wire::state::StepState;
use serde_json::{Value, json};

use super::field::noon;
use crate::support::program::{self, Output, command};

/// A host with one group and one repository.
pub struct Site {
    pub dir: tempfile::TempDir,
    pub config: Value,
}

impl Site {
    /// `group` is what makes the group; the repository is a directory.
    pub fn new(group: Value) -> Site {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("repository")).unwrap();
        std::fs::create_dir(dir.path().join("home")).unwrap();
        let id = |last: u8| format!("01980000-0000-7000-8000-0000000000{last:02x}");
        let mut whole = json!({"id": id(2), "name": "home", "repositories": [id(3)]});
        whole.as_object_mut().unwrap().extend(group.as_object().unwrap().clone());
        let config = json!({
            "rev": 1,
            "host": {"id": id(1), "name": "laptop", "mode": "intermittent", "tz": "UTC"},
            "groups": [whole],
            "repositories": [{"id": id(3), "kind": "directory", "url": dir.path().join("repository")}],
        });
        Site { dir, config }
    }

    pub fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    pub fn repository(&self) -> PathBuf {
        self.dir.path().join("repository")
    }

    pub fn root(&self) -> PathBuf {
        self.dir.path().join("agent")
    }

    pub fn install(&self) {
        drop(Outbox::open(&self.root(), Bounds::default(), noon()).unwrap());
        std::fs::write(self.root().join("config.json"), self.config.to_string()).unwrap();
    }

    pub fn settings(&self, text: &str) {
        std::fs::create_dir_all(self.root()).unwrap();
        std::fs::write(self.root().join("agent.toml"), text).unwrap();
    }

    pub fn task(&self) -> Task {
        self.install();
        highwater::agent::by_hand::task(&self.root(), "home").unwrap().remove(0)
    }

    pub async fn run(&self) -> Verdict {
        self.attempt(self.task()).await
    }

    pub async fn attempt(&self, task: Task) -> Verdict {
        let (_keep, cancel) = Cancel::channel();
        self.attempt_under(task, &cancel).await
    }

    pub async fn attempt_under(&self, task: Task, cancel: &Cancel) -> Verdict {
        let outbox = Arc::new(Outbox::open(&self.root(), Bounds::default(), noon()).unwrap());
        attempt(task, outbox, Arc::new(HostClock::default()), cancel).await
    }

    pub async fn agent(&self, words: &[&str]) -> Output {
        let root = self.root();
        let mut arguments = vec!["agent"];
        arguments.extend(words);
        arguments.extend(["--dir", root.to_str().unwrap()]);
        program::run(&mut command(&arguments)).await
    }

    /// What was reported, in its order.
    pub fn events(&self) -> Vec<Event> {
        let shelf = Shelf::open(&self.root()).unwrap();
        let read = |file: &String| {
            let entry = shelf.item(Place::New, file).unwrap().unwrap().entry.unwrap();
            Event::read(&entry.event().unwrap()).unwrap()
        };
        shelf.files(Place::New).unwrap().iter().map(read).collect()
    }

    /// How each step ended, in the order of the ends.
    pub fn steps(&self) -> Vec<(String, StepState)> {
        let ends = self.events().into_iter().filter_map(|event| match event.fact {
            Fact::StepFinished(step) => Some((step.step, step.state.unwrap())),
            _ => None,
        });
        ends.collect()
    }

    pub fn step(&self, name: &str) -> Option<StepState> {
        self.steps().into_iter().find(|(step, _)| step == name).map(|(_, state)| state)
    }

    /// Visible archives.
    pub fn archives(&self) -> Vec<RecordId> {
        let found = std::fs::read_dir(self.repository()).unwrap();
        found.filter_map(|one| one.unwrap().file_name().to_str()?.parse().ok()).collect()
    }

    /// Everything that lies in the repository, visible or not.
    pub fn litter(&self) -> usize {
        std::fs::read_dir(self.repository()).unwrap().count()
    }

    pub fn restore(&self, record: RecordId, to: &Path) -> Result<archive::Manifest, archive::ArchiveError> {
        archive::restore(&self.repository(), record, &archive::Guard { group: "home".to_owned() }, to)
    }
}
