//! Peers that behave as they are told to: a web server and a mail server, as small as can be.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What a peer does with one message, once it has read all of it.
#[derive(Debug, Clone)]
pub enum Manner {
    /// Answers with this status line and these headers, or these words of SMTP.
    Say(&'static str),
    /// Closes the connection without a word.
    Hang,
    /// Says nothing and keeps the connection.
    Sleep,
}

/// One message, as it came.
#[derive(Debug, Clone)]
pub struct Heard {
    /// By names in lower case; of a mail its own headers.
    pub headers: HashMap<String, String>,
    pub body: String,
    /// Whether the peer has said that it took it.
    pub is_taken: bool,
}

impl Heard {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

#[derive(Default)]
struct Memory {
    manners: VecDeque<Manner>,
    heard: Vec<Heard>,
    /// Commands of SMTP.
    commands: Vec<String>,
}

/// One conversation.
type Talk = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// A peer; it takes everything unless it was told otherwise.
pub struct Peer {
    pub port: u16,
    memory: Arc<Mutex<Memory>>,
    task: JoinHandle<()>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Peer {
    pub async fn http() -> Peer {
        Peer::http_at(0).await
    }

    /// At a port that was another peer's.
    pub async fn http_at(port: u16) -> Peer {
        Peer::listen(port, |stream, memory| Box::pin(web(stream, memory))).await
    }

    pub async fn smtp() -> Peer {
        Peer::listen(0, |stream, memory| Box::pin(mail(stream, memory))).await
    }

    async fn listen(port: u16, talk: fn(TcpStream, Arc<Mutex<Memory>>) -> Talk) -> Peer {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("the port is free");
        let port = listener.local_addr().unwrap().port();
        let memory = Arc::<Mutex<Memory>>::default();
        let shared = Arc::clone(&memory);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(talk(stream, Arc::clone(&shared)));
            }
        });
        Peer { port, memory, task }
    }

    /// What it does with the messages to come.
    pub fn will(&self, manners: &[Manner]) {
        self.memory.lock().unwrap().manners.extend(manners.iter().cloned());
    }

    pub fn heard(&self) -> Vec<Heard> {
        self.memory.lock().unwrap().heard.clone()
    }

    pub fn commands(&self) -> Vec<String> {
        self.memory.lock().unwrap().commands.clone()
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }
}

fn hear(
    memory: &Mutex<Memory>,
    headers: HashMap<String, String>,
    body: String,
    good: &'static str,
) -> Manner {
    let mut memory = memory.lock().unwrap();
    let manner = memory.manners.pop_front().unwrap_or(Manner::Say(good));
    let is_taken = matches!(manner, Manner::Say(words) if words.starts_with('2'));
    memory.heard.push(Heard { headers, body, is_taken });
    manner
}

async fn web(stream: TcpStream, memory: Arc<Mutex<Memory>>) {
    let mut stream = BufReader::new(stream);
    let mut headers = HashMap::new();
    let mut line = String::new();
    while stream.read_line(&mut line).await.unwrap_or(0) > 2 {
        if let Some((name, value)) = line.split_once(':') {
            headers.insert(name.to_lowercase(), value.trim().to_owned());
        }
        line.clear();
    }
    let length = headers.get("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    if length == 0 || stream.read_exact(&mut body).await.is_err() {
        return;
    }
    match hear(&memory, headers, String::from_utf8(body).unwrap(), "200 OK") {
        Manner::Say(words) => {
            let answer = format!("HTTP/1.1 {words}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
        Manner::Hang => {}
        Manner::Sleep => std::future::pending().await,
    }
}

async fn mail(stream: TcpStream, memory: Arc<Mutex<Memory>>) {
    let mut stream = BufReader::new(stream);
    let _ = stream.write_all(b"220 mail.example ESMTP\r\n").await;
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return;
        }
        let command = line.trim_end().to_owned();
        memory.lock().unwrap().commands.push(command.clone());
        let words = match command.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" => "250-mail.example\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME",
            "AUTH" => "235 welcome",
            "DATA" => "354 go on",
            "QUIT" => "221 bye",
            _ => "250 fine",
        };
        let _ = stream.write_all(format!("{words}\r\n").as_bytes()).await;
        if command != "DATA" {
            continue;
        }
        let (mut headers, mut body, mut is_head) = (HashMap::new(), String::new(), true);
        loop {
            line.clear();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            match line.trim_end_matches(['\r', '\n']) {
                "." => break,
                "" if is_head => is_head = false,
                text if is_head => {
                    if let Some((name, value)) = text.split_once(": ") {
                        headers.insert(name.to_lowercase(), value.to_owned());
                    }
                }
                text => body.push_str(&format!("{text}\n")),
            }
        }
        match hear(&memory, headers, body, "250 taken") {
            Manner::Say(words) => {
                let _ = stream.write_all(format!("{words}\r\n").as_bytes()).await;
            }
            Manner::Hang => return,
            Manner::Sleep => std::future::pending().await,
        }
    }
}
