//! `highwater outbox`: what a host has to tell, and what was refused.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::table;
use crate::agent::outbox::{Item, Place, Shelf};
use crate::cli::{Format, Global};
use crate::command::say::say;
use crate::ground::exit::Exit;

/// Version of the JSON documents.
const SCHEMA_VERSION: u32 = 1;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Entries are named by their number, their id or their file's name. A running agent sees a change \
                        within seconds.

Exit codes: 0 done; 2 no such entry, or no agent's directory."
)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// All entries: what waits, what conflicts, what is dead
    List {
        #[command(flatten)]
        dir: Dir,
        /// Only those in one place
        #[arg(long, value_enum)]
        place: Option<Where>,
    },
    /// One entry with its body, and what the server said
    Show {
        entry: String,
        #[command(flatten)]
        dir: Dir,
    },
    /// Send refused entries again, in their old order
    Retry {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        dir: Dir,
    },
    /// Delete entries for good
    Drop {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        dir: Dir,
    },
    /// Every entry with its body, one JSON object a line
    Export {
        #[command(flatten)]
        dir: Dir,
    },
}

#[derive(Debug, clap::Args)]
struct Dir {
    /// The agent's directory
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

#[derive(Debug, clap::Args)]
#[group(required = true)]
struct Which {
    entries: Vec<String>,
    /// All in conflict/ and dead/
    #[arg(long, conflicts_with = "entries")]
    all: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Where {
    New,
    Conflict,
    Dead,
}

/// Runs the command.
///
/// # Errors
///
/// What the directory says.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    match args.action {
        Action::List { dir, place } => {
            let place = place.map(|place| match place {
                Where::New => Place::New,
                Where::Conflict => Place::Conflict,
                Where::Dead => Place::Dead,
            });
            list(global.format, &Shelf::open(&dir.dir)?, place)?;
        }
        Action::Show { entry, dir } => {
            let item = Shelf::open(&dir.dir)?.find(&entry)?;
            match global.format {
                Format::Json => say!("{}", json!({"schema_version": SCHEMA_VERSION, "entry": whole(&item)})),
                Format::Text => say!("{:#}", whole(&item)),
            }
        }
        Action::Retry { which, dir } => {
            let shelf = Shelf::open(&dir.dir)?;
            let items = chosen(&shelf, &which, Item::is_readable)?;
            items.iter().try_for_each(|item| shelf.retry(item))?;
            told(global.format, "retried", &items);
        }
        Action::Drop { which, dir } => {
            let shelf = Shelf::open(&dir.dir)?;
            let items = chosen(&shelf, &which, |_| true)?;
            items.iter().try_for_each(|item| shelf.drop_item(item))?;
            told(global.format, "dropped", &items);
        }
        Action::Export { dir } => {
            let shelf = Shelf::open(&dir.dir)?;
            each(&shelf, None, |item| say!("{}", whole(&item)))?;
        }
    }
    Ok(Exit::Done)
}

/// The entries that were named, or with `--all` the refused ones that `fits`.
fn chosen(shelf: &Shelf, which: &Which, fits: impl Fn(&Item) -> bool) -> anyhow::Result<Vec<Item>> {
    if !which.all {
        return which.entries.iter().map(|wanted| Ok(shelf.find(wanted)?)).collect();
    }
    let mut items = Vec::new();
    each(shelf, None, |item| {
        if item.place != Place::New && fits(&item) {
            items.push(item);
        }
    })?;
    Ok(items)
}

/// Hands over the entries of one place or of all, in their order.
fn each(shelf: &Shelf, only: Option<Place>, mut take: impl FnMut(Item)) -> anyhow::Result<()> {
    for place in [Place::New, Place::Conflict, Place::Dead] {
        if only.is_some_and(|only| only != place) {
            continue;
        }
        for file in shelf.files(place)? {
            if let Some(item) = shelf.item(place, &file)? {
                take(item);
            }
        }
    }
    Ok(())
}

fn list(format: Format, shelf: &Shelf, only: Option<Place>) -> anyhow::Result<()> {
    let mut lines = Vec::new();
    each(shelf, only, |item| lines.push(line(&item)))?;
    if format == Format::Json {
        let count = |place: Place| shelf.files(place).map(|files| files.len());
        let (new, conflict, dead) = (count(Place::New)?, count(Place::Conflict)?, count(Place::Dead)?);
        say!(
            "{}",
            json!({"schema_version": SCHEMA_VERSION, "new": new, "conflict": conflict, "dead": dead, "entries": lines})
        );
        return Ok(());
    }
    let mut shown = table::plain(["PLACE", "SEQ", "WHAT", "JOB", "BYTES", "QUEUED", "REASON"]);
    for line in &lines {
        let text = |key: &str| match &line[key] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        shown.add_row(["place", "seq", "what", "job", "size_bytes", "queued_at", "reason"].map(text));
    }
    table::print(&shown);
    Ok(())
}

/// An entry without its body.
fn line(item: &Item) -> Value {
    let reason = item.answer.as_ref().map(|answer| answer.reason.clone());
    let common = json!({"place": item.place.word(), "file": item.file, "size_bytes": item.size_bytes});
    let mut line = match &item.entry {
        Ok(entry) => {
            let header = &entry.header;
            let what = match (&header.kind, &header.request) {
                (Some(kind), _) => kind.clone(),
                (None, Some(request)) => format!("{} {}", request.method, request.path),
                (None, None) => String::new(),
            };
            json!({
                "seq": header.seq, "epoch": header.epoch, "id": header.id, "what": what, "job": header.job,
                "queued_at": header.queued_at, "reason": reason,
            })
        }
        Err(why) => json!({"what": "unreadable", "reason": reason.unwrap_or_else(|| why.clone())}),
    };
    if let (Value::Object(line), Value::Object(common)) = (&mut line, common) {
        line.extend(common);
    }
    line
}

/// An entry with its body, as JSON where it is JSON, and the server's words.
fn whole(item: &Item) -> Value {
    let mut whole = line(item);
    if let Ok(entry) = &item.entry {
        let body = serde_json::from_str(&entry.body).unwrap_or_else(|_| Value::String(entry.body.clone()));
        whole["header"] = json!(entry.header);
        whole["body"] = body;
    }
    whole["answer"] = json!(item.answer);
    whole
}

fn told(format: Format, done: &str, items: &[Item]) {
    let files: Vec<&str> = items.iter().map(|item| item.file.as_str()).collect();
    match format {
        Format::Json => say!("{}", json!({"schema_version": SCHEMA_VERSION, done: files})),
        Format::Text if files.is_empty() => say!("nothing {done}"),
        Format::Text => files.iter().for_each(|file| say!("{file}: {done}")),
    }
}
