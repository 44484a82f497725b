//! Events of the example application: generated, or a real history.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures_util::SinkExt;

use super::DemoError;
use crate::db::target::Target;
use crate::db::{Executor, Session, connect};
use crate::ground::shutdown::{Shutdown, Urgency};

/// Piece of a file that is sent at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// Late events arrive in handfuls of this many, this often.
const LATE_HANDFUL: i64 = 25;
const LATE_EVERY: Duration = Duration::from_millis(50);

/// Makes `count` seeded events over the last 14 months.
///
/// # Errors
///
/// What the server says.
pub async fn generate(session: &Session, count: i64) -> Result<(), DemoError> {
    session.query(include_str!("../../sql/demo/generate.sql"), &[&count]).await?;
    Ok(())
}

/// Copies a CSV file, gzipped or not, into the events as it is.
///
/// # Errors
///
/// [`DemoError::Csv`] when the file cannot be read or a line does not fit; then nothing of it stays.
pub async fn load(session: &Session, path: &Path) -> Result<(), DemoError> {
    let file = path.display().to_string();
    let unread = |reason: String| DemoError::Csv { file: file.clone(), reason };
    let mut reader = open(path).map_err(|error| unread(error.to_string()))?;
    let sink = session.copy_in(include_str!("../../sql/demo/copy.sql")).await?;
    futures_util::pin_mut!(sink);
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = reader.read(&mut chunk).map_err(|error| unread(error.to_string()))?;
        if read == 0 {
            break;
        }
        let sent = sink.send(Bytes::copy_from_slice(&chunk[..read])).await;
        sent.map_err(|error| unread(crate::db::DbError::from(error).to_string()))?;
    }
    sink.finish().await.map_err(|error| unread(crate::db::DbError::from(error).to_string()))?;
    Ok(())
}

fn open(path: &Path) -> std::io::Result<Box<dyn Read + Send>> {
    let file = BufReader::new(File::open(path)?);
    if path.extension().is_some_and(|extension| extension == "gz") {
        Ok(Box::new(flate2::read::MultiGzDecoder::new(file)))
    } else {
        Ok(Box::new(file))
    }
}

/// The application's own nightly job: fills its daily table.
///
/// # Errors
///
/// What the server says.
pub async fn refresh_daily(session: &Session) -> Result<(), DemoError> {
    session.query(include_str!("../../sql/demo/refresh_daily.sql"), &[]).await?;
    Ok(())
}

/// Goes on writing late events of long ago until `done`, as an application does while it is upgraded. Returns how many.
///
/// # Errors
///
/// What the server says.
pub async fn arrive_late(target: &Target, done: &Shutdown) -> Result<i64, DemoError> {
    let session = connect::connect(target, "demo writer").await?;
    let mut written = 0;
    while !done.is_requested() {
        session.query(include_str!("../../sql/demo/late.sql"), &[&LATE_HANDFUL]).await?;
        written += LATE_HANDFUL;
        tokio::select! {
            () = tokio::time::sleep(LATE_EVERY) => {}
            () = done.at_least(Urgency::Soon) => {}
        }
    }
    Ok(written)
}
