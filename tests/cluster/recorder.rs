//! Somebody on the way between two servers, who hears all that they say.

use std::{
    io,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// What one end of a connection said.
type Said = Arc<Mutex<Vec<u8>>>;

/// A way to a server.
pub struct Recorder {
    /// `HOST:PORT` where it begins.
    pub address: String,
    /// What came from callers, and what was answered, by connection.
    heard: Arc<Mutex<Vec<(Said, Said)>>>,
    passing: tokio::task::JoinHandle<()>,
}

impl Recorder {
    /// The way to `server`, `HOST:PORT`.
    pub async fn start(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let heard: Arc<Mutex<Vec<(Said, Said)>>> = Arc::default();
        let (all, server) = (Arc::clone(&heard), server.to_owned());
        let passing = tokio::spawn(async move {
            loop {
                let (caller, _) = listener.accept().await.unwrap();
                let (all, server) = (Arc::clone(&all), server.clone());
                tokio::spawn(async move {
                    let Ok(called) = TcpStream::connect(server).await else { return };
                    let said = (Said::default(), Said::default());
                    all.lock().unwrap().push(said.clone());
                    let (from_caller, to_caller) = caller.into_split();
                    let (from_called, to_called) = called.into_split();
                    let asked = pass(from_caller, to_called, said.0);
                    let _ = tokio::join!(asked, pass(from_called, to_caller, said.1));
                });
            }
        });
        Self { address, heard, passing }
    }

    /// What was said first by callers, by connection.
    pub fn beginnings(&self) -> Vec<Vec<u8>> {
        let all = self.heard.lock().unwrap();
        let begun = all.iter().map(|(asked, _)| asked.lock().unwrap().iter().take(3).copied().collect::<Vec<u8>>());
        begun.filter(|begun| !begun.is_empty()).collect()
    }

    /// Whether somebody has said this, in these words.
    pub fn heard(&self, words: &[u8]) -> bool {
        let all = self.heard.lock().unwrap();
        let mut said = all.iter().flat_map(|(asked, answered)| [asked, answered]);
        said.any(|said| said.lock().unwrap().windows(words.len()).any(|part| part == words))
    }
}

async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, said: Said) -> io::Result<()> {
    let mut bytes = vec![0; 64 << 10];
    loop {
        let len = from.read(&mut bytes).await?;
        if len == 0 {
            return to.shutdown().await;
        }
        said.lock().unwrap().extend_from_slice(&bytes[..len]);
        to.write_all(&bytes[..len]).await?;
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.passing.abort();
    }
}
