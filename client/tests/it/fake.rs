//! A server that does what a test tells it: one thread a connection, one request a connection, blocking, so that a
//! test may stop in the middle of a body or hang up.

use microtome_proto::{
    Code, MaterialId, Problem, Timestamp,
    material::{Material, MaterialState, Replica, ReplicaState, Terms},
};
use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU16, Ordering},
    },
};

/// A request whose head has arrived.
pub(crate) struct Ask {
    pub(crate) method: String,
    /// With the query.
    pub(crate) path: String,
    pub(crate) headers: HashMap<String, String>,
    stream: BufReader<TcpStream>,
}

/// A listening server; it stops listening when dropped.
pub(crate) struct Fake {
    pub(crate) url: String,
    /// Method and path of every request, in order.
    pub(crate) log: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
}

impl Fake {
    pub(crate) fn start(handler: impl Fn(Ask) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (log, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (handler, seen, stopped) = (Arc::new(handler), Arc::clone(&log), Arc::clone(&stop));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (handler, seen) = (Arc::clone(&handler), Arc::clone(&seen));
                std::thread::spawn(move || {
                    if let Some(ask) = Ask::read(stream.unwrap()) {
                        seen.lock().unwrap().push(format!("{} {}", ask.method, ask.path));
                        handler(ask);
                    }
                });
            }
        });
        Self { url, log, stop }
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the accepting thread, which then lets go of the listener.
        let _ = TcpStream::connect(self.url.trim_start_matches("http://"));
    }
}

/// An address where nothing listens, each time another one: no test gets a port that low.
pub(crate) fn nobody() -> String {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    format!("http://127.0.0.1:{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Ask {
    fn read(stream: TcpStream) -> Option<Self> {
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        let mut words = line.split_whitespace();
        let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
        let mut headers = HashMap::new();
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        Some(Self { method, path, headers, stream })
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The whole body, or its first `len_max` bytes.
    pub(crate) fn body(&mut self, len_max: usize) -> Vec<u8> {
        let len = self.header("content-length").parse().unwrap_or(0).min(len_max);
        let mut body = vec![0; len];
        self.stream.read_exact(&mut body).unwrap();
        body
    }

    pub(crate) fn json(&mut self) -> serde_json::Value {
        serde_json::from_slice(&self.body(usize::MAX)).unwrap()
    }

    pub(crate) fn answer(self, status: u16, headers: &[(&str, &str)], body: &[u8]) {
        self.answer_cut(status, headers, body, body.len());
    }

    /// Announces the whole body, sends `cut` bytes of it and hangs up.
    pub(crate) fn answer_cut(mut self, status: u16, headers: &[(&str, &str)], body: &[u8], cut: usize) {
        let mut head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        let stream = self.stream.get_mut();
        let _ = stream.write_all(head.as_bytes());
        if self.method != "HEAD" {
            let _ = stream.write_all(&body[..cut]);
        }
        let _ = stream.flush();
    }

    pub(crate) fn answer_json(self, value: &impl serde::Serialize) {
        self.answer(200, &[("content-type", "application/json")], &serde_json::to_vec(value).unwrap());
    }

    pub(crate) fn refuse(self, code: Code) {
        let problem = Problem { retry_after_s: None, ..Problem::new(code, "the test says so") };
        self.answer(code.status(), &[], &serde_json::to_vec(&problem).unwrap());
    }

    pub(crate) fn redirect(self, to: &str) {
        let location = format!("{to}{}", self.path);
        self.answer(307, &[("location", &location)], b"");
    }
}

pub(crate) fn id() -> MaterialId {
    "m-0123456789".parse().unwrap()
}

/// A material whose bytes are still to be sent to `upload_url`.
pub(crate) fn receiving(size: usize, upload_url: &str) -> Material {
    Material {
        id: id(),
        name: "slide.svs".to_owned(),
        size: size as u64,
        size_unknown: false,
        media_type: "image/tiff".to_owned(),
        blake3: None,
        state: MaterialState::Receiving,
        population: 2,
        population_live: 0,
        replicas: Vec::new(),
        created_at: Timestamp::from_millis(0),
        terms: Terms::default(),
        used_at: None,
        origin: None,
        upload_url: Some(upload_url.to_owned()),
        view: format!("/view/{}", id()),
    }
}

/// A material with these bytes on these nodes.
pub(crate) fn ready(bytes: &[u8], nodes: &[&str]) -> Material {
    let replica = |(i, url): (usize, &&str)| Replica {
        node: format!("n-{}", i + 1).parse().unwrap(),
        state: ReplicaState::Verified,
        generation: microtome_proto::Generation(1),
        url: (*url).to_owned(),
        live: true,
        offset: None,
    };
    Material {
        blake3: Some(blake3::hash(bytes).to_hex().to_string()),
        state: MaterialState::Ready,
        replicas: nodes.iter().enumerate().map(replica).collect(),
        upload_url: None,
        ..receiving(bytes.len(), "")
    }
}

/// Bytes that are everywhere different.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}
