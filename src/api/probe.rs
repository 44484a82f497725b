//! Asks a worker's endpoint, as a container's health check does: one GET, no TLS, no redirects.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Largest answer that is read.
const MOST_BYTES: u64 = 64 * 1024;

/// Status code and body of `http://HOST:PORT/PATH`.
///
/// # Errors
///
/// A sentence that says what could not be done.
pub async fn get(url: &str) -> Result<(u16, String), String> {
    let rest = url.strip_prefix("http://").ok_or("the URL must begin with http://")?;
    let (authority, path) = match rest.split_once('/') {
        Some((authority, path)) => (authority, format!("/{path}")),
        None => (rest, "/readyz".to_owned()),
    };
    let address = if authority.contains(':') { authority.to_owned() } else { format!("{authority}:80") };
    let exchange = async {
        let mut stream = TcpStream::connect(&address).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut bytes = Vec::new();
        stream.take(MOST_BYTES).read_to_end(&mut bytes).await?;
        Ok::<_, std::io::Error>(bytes)
    };
    let bytes = timeout(PATIENCE, exchange)
        .await
        .map_err(|_| format!("{address} does not answer within {PATIENCE:?}"))?
        .map_err(|error| format!("cannot reach {address}: {error}"))?;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").ok_or("the answer is no HTTP")?;
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).ok_or("the answer is no HTTP")?;
    Ok((status, body.to_owned()))
}
