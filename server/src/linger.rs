//! Closing a connection whose client still sends: the answer has to reach it.
//!
//! Where a socket is closed with bytes in it that nobody has read, the kernel resets the connection, and the client may lose
//! an answer that it has not read yet: that there is no room, say, while it sends 20 GB. So the server's side is closed
//! first, and what still comes is read and thrown away until the client has closed its own, for a bounded time (RFC 9112,
//! 9.6).

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep},
};

/// How much patience there is with clients that were told that no more is read.
const PATIENCE: Patience = Patience { silence: Duration::from_secs(1), sending: Duration::from_secs(10) };
/// Bytes thrown away at once.
const PIECE_LEN: usize = 16 << 10;

/// How long a client may be silent, and how long it may go on sending.
#[derive(Debug, Clone, Copy)]
struct Patience {
    silence: Duration,
    sending: Duration,
}

/// A connection that ends so.
pub(crate) struct Lingering {
    stream: TcpStream,
    patience: Patience,
    ending: Option<Ending>,
}

struct Ending {
    silence: Pin<Box<Sleep>>,
    until: Instant,
}

impl Lingering {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream, patience: PATIENCE, ending: None }
    }
}

impl AsyncRead for Lingering {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buf)
    }
}

impl AsyncWrite for Lingering {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, patience, ending } = &mut *self;
        if ending.is_none() {
            ready!(Pin::new(&mut *stream).poll_shutdown(context))?;
        }
        let ending = ending.get_or_insert_with(|| Ending {
            silence: Box::pin(sleep(patience.silence)),
            until: Instant::now() + patience.sending,
        });
        let mut piece = [0; PIECE_LEN];
        loop {
            let mut thrown_away = ReadBuf::new(&mut piece);
            match Pin::new(&mut *stream).poll_read(context, &mut thrown_away) {
                Poll::Ready(Ok(())) if !thrown_away.filled().is_empty() && Instant::now() < ending.until => {
                    ending.silence.as_mut().reset(Instant::now() + patience.silence);
                }
                // It has closed its side, or broke off, or has had its time.
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => return ending.silence.as_mut().poll(context).map(Ok),
            }
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    async fn pair(patience: Patience) -> (TcpStream, Lingering) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (client, Lingering { patience, ..Lingering::new(listener.accept().await.unwrap().0) })
    }

    /// It sends far more than socket buffers hold, and reads only then.
    #[tokio::test]
    async fn a_client_that_still_sends_gets_its_answer() {
        let (mut client, mut server) = pair(Patience { silence: PATIENCE.sending, ..PATIENCE }).await;
        let answering = tokio::spawn(async move {
            server.write_all(b"no room").await.unwrap();
            server.shutdown().await.unwrap();
        });
        client.write_all(&vec![7; 64 << 20]).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "no room");
        drop(client);
        answering.await.unwrap();
    }

    #[tokio::test]
    async fn one_that_is_silent_or_never_ends_is_let_go() {
        let short = Duration::from_millis(20);
        let (_client, mut server) = pair(Patience { silence: short, ..PATIENCE }).await;
        server.shutdown().await.unwrap();

        let (mut client, mut server) = pair(Patience { sending: short, ..PATIENCE }).await;
        let sending = tokio::spawn(async move { while client.write_all(&[7; 1000]).await.is_ok() {} });
        server.shutdown().await.unwrap();
        drop(server);
        sending.await.unwrap();
    }
}
