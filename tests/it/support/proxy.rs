//! A small TCP proxy that does to connections what networks do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What becomes of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Pass,
    /// A connection is cut once so many bytes of the server went through it.
    CutAfter(usize),
    /// Connections are accepted and stay open, and nothing arrives on either side.
    Swallow,
    /// Connections are cut, and new ones too.
    Refuse,
}

/// A proxy on a port of its own before a server's; its connections end with it.
pub struct Proxy {
    pub port: u16,
    mode: watch::Sender<Mode>,
    accepted: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub async fn before(server: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (mode, receiver) = watch::channel(Mode::Pass);
        let accepted = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&accepted);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                counter.fetch_add(1, Ordering::Relaxed);
                connections.spawn(carry(client, server, receiver.clone()));
            }
        });
        Proxy { port, mode, accepted, task }
    }

    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Connections that clients have made so far.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Carries bytes until one side ends or the mode says so.
async fn carry(mut client: TcpStream, server: u16, mut mode: watch::Receiver<Mode>) {
    if *mode.borrow() == Mode::Refuse {
        return;
    }
    let Ok(mut upstream) = TcpStream::connect(("127.0.0.1", server)).await else { return };
    let (mut from_client, mut from_server) = (vec![0; 16_384], vec![0; 16_384]);
    let mut carried = 0;
    loop {
        let now = *mode.borrow_and_update();
        if now == Mode::Refuse {
            return;
        }
        let (size, is_of_server) = tokio::select! {
            changed = mode.changed() => if changed.is_ok() { continue } else { return },
            read = client.read(&mut from_client) => (read, false),
            read = upstream.read(&mut from_server) => (read, true),
        };
        let Ok(mut size @ 1..) = size else { return };
        if now == Mode::Swallow {
            continue;
        }
        let mut is_last = false;
        if let (Mode::CutAfter(most), true) = (now, is_of_server) {
            is_last = carried + size > most;
            size = size.min(most.saturating_sub(carried));
            carried += size;
        }
        let written = if is_of_server {
            client.write_all(&from_server[..size]).await
        } else {
            upstream.write_all(&from_client[..size]).await
        };
        if is_last || written.is_err() {
            return;
        }
    }
}
