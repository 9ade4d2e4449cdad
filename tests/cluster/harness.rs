//! Starting, killing and asking a cluster of real processes.

use microtome_client::{Cluster as Client, Source};
use microtome_proto::{
    Code, MaterialId,
    material::{CreateMaterial, Material, MaterialState, ReplicaState},
    node::Node,
    page::PageQuery,
    token::{Claims, Role, Signer, now_s},
};
use serde_json::Value;
use std::{
    fmt::Write as _,
    fs::{self, File},
    future::Future,
    io,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

/// How long a story waits for what must come; generous, since test machines are busy.
pub const PATIENCE: Duration = Duration::from_secs(240);

/// This version's program.
const PROGRAM: &str = env!("CARGO_BIN_EXE_microtome");

/// One process of the cluster.
pub struct Server {
    pub name: String,
    pub url: String,
    pub data_dir: PathBuf,
    /// What the program is started by, where that is not this process itself, and its arguments.
    words: Vec<String>,
    environment: Vec<(String, String)>,
    log: PathBuf,
    child: Option<Child>,
}

/// Where a server runs.
#[derive(Default)]
pub struct Place {
    /// `HOST:PORT` to listen on.
    pub address: String,
    /// `HOST:PORT` under which the other servers reach it, where that is another.
    pub through: Option<String>,
    /// Its data folder, where it is not beside the others'.
    pub data_dir: Option<PathBuf>,
    /// What starts a program there, where it is not just started.
    pub prefix: Vec<String>,
    /// Variables for it.
    pub environment: Vec<(String, String)>,
    /// The program, where it is not this version's.
    pub program: Option<PathBuf>,
}

impl Server {
    /// Starts it, or starts it again with what its folder holds.
    pub fn start(&mut self) {
        assert!(self.child.is_none(), "{} runs already", self.name);
        let log = File::options().create(true).append(true).open(&self.log).unwrap();
        let child = Command::new(&self.words[0])
            .args(&self.words[1..])
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::from(log.try_clone().unwrap()))
            .stderr(Stdio::from(log))
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    /// SIGKILL: no chance to tidy up.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// See [`signal`].
    pub fn signal(&self, name: &str) {
        signal(self.child.as_ref().expect("it runs").id(), name);
    }

    /// The same server with another data folder.
    pub fn moved_to(&mut self, data_dir: PathBuf) {
        let place = self.words.iter().position(|word| word == "--data-dir").unwrap() + 1;
        self.words[place] = data_dir.to_str().unwrap().to_owned();
        self.data_dir = data_dir;
    }

    /// The same server, started without variables of its own from now on.
    pub fn without_environment(&mut self) {
        self.environment.clear();
    }

    /// The same server, started with this variable and no other from now on.
    pub fn with_environment(&mut self, name: &str, value: &str) {
        self.environment = vec![(name.to_owned(), value.to_owned())];
    }

    /// The same server, of this version from now on.
    pub fn upgraded(&mut self) {
        PROGRAM.clone_into(&mut self.words[0]);
    }

    /// Fails where it was started and has ended by itself: what it should do nobody needs to wait for.
    fn must_run(&self) {
        let Some(child) = &self.child else { return };
        let status = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap_or_default();
        let has_ended = status.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'));
        assert!(!has_ended, "{} has ended", self.name);
    }

    pub fn runs(&self) -> bool {
        self.child.is_some()
    }

    /// The exit code of one that has ended by itself.
    pub fn ended(&mut self) -> Option<i32> {
        let status = self.child.as_mut()?.try_wait().unwrap()?;
        self.child = None;
        status.code()
    }

    /// Bytes of memory that it has.
    pub fn memory_bytes(&self) -> u64 {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.child.as_ref().expect("it runs").id())).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        resident.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

/// A cluster of real processes.
pub struct Cluster {
    pub coordinators: Vec<Server>,
    pub nodes: Vec<Server>,
    pub client: Client,
    pub http: reqwest::Client,
    pub dir: tempfile::TempDir,
}

impl Cluster {
    /// Starts `coordinators` and `nodes` with quick timings and waits until all nodes are up.
    pub async fn start(coordinators: usize, nodes: usize) -> Self {
        let places = loopback(coordinators + nodes);
        Self::start_at(&places[..coordinators], &places[coordinators..], None).await
    }

    /// The same at places of the caller's; beyond loopback a secret is needed.
    pub async fn start_at(coordinators: &[Place], nodes: &[Place], secret: Option<&str>) -> Self {
        let auth = secret.map(|secret| format!("secret = \"{secret}\"\n")).unwrap_or_default();
        Self::start_with(coordinators, nodes, &auth, secret.map(token)).await
    }

    /// The same with what stands under `[auth]`, and with the token of an administrator.
    pub async fn start_with(coordinators: &[Place], nodes: &[Place], auth: &str, token: Option<String>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let places: Vec<&Place> = coordinators.iter().chain(nodes).collect();
        let (coordinators, nodes) = (coordinators.len(), nodes.len());
        let urls: Vec<String> = places.iter().map(|place| format!("http://{}", place.address)).collect();
        let told = |place: &&Place| format!("http://{}", place.through.as_ref().unwrap_or(&place.address));
        let told: Vec<String> = places.iter().map(told).collect();
        let config = dir.path().join("cluster.toml");
        fs::write(&config, configuration(&told[..coordinators], auth)).unwrap();
        let server = |name: String, at: usize, arguments: Vec<String>| {
            let data_dir = places[at].data_dir.clone().unwrap_or_else(|| dir.path().join(&name));
            let mut words = places[at].prefix.clone();
            let program = places[at].program.as_deref().unwrap_or(Path::new(PROGRAM));
            words.push(program.to_str().unwrap().to_owned());
            words.extend(arguments);
            for (flag, value) in [
                ("--config", config.to_str().unwrap()),
                ("--listen", &places[at].address),
                ("--data-dir", data_dir.to_str().unwrap()),
            ] {
                words.extend([flag.to_owned(), value.to_owned()]);
            }
            let log = dir.path().join(format!("{name}.log"));
            let environment = places[at].environment.clone();
            Server { name, url: urls[at].clone(), data_dir, words, environment, log, child: None }
        };
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let mut cluster = Self {
            coordinators: (0..coordinators)
                .map(|i| {
                    server(format!("coordinator-{}", i + 1), i, words(&["coordinator", "--id", &(i + 1).to_string()]))
                })
                .collect(),
            // A node knows one coordinator only and learns the others.
            nodes: (0..nodes)
                .map(|i| {
                    let name = format!("node-{}", i + 1);
                    let known = &told[i % coordinators];
                    let own = &told[coordinators + i];
                    let arguments = words(&["node", "--name", &name, "--coordinator", known, "--url", own]);
                    server(name, coordinators + i, arguments)
                })
                .collect(),
            client: Client::new(urls[..coordinators].to_vec(), token).with_deadline(PATIENCE),
            http: Self::fresh_http(),
            dir,
        };
        cluster.coordinators.iter_mut().chain(&mut cluster.nodes).for_each(Server::start);
        cluster.wait_for_nodes(nodes).await;
        cluster
    }

    /// A client that has no connection yet.
    pub fn fresh_http() -> reqwest::Client {
        reqwest::Client::builder().no_proxy().tls_certs_only([]).timeout(PATIENCE).build().unwrap()
    }

    /// Waits until the nodes that were started answer, and `count` are up and take uploads.
    pub async fn wait_for_nodes(&self, count: usize) {
        for node in self.nodes.iter().filter(|node| node.runs()) {
            // One that was killed and started again may still count as up from before.
            let health = format!("{}/healthz", node.url);
            eventually(&format!("{} answers", node.name), || async {
                node.must_run();
                self.http.get(&health).send().await.ok()
            })
            .await;
        }
        let up = |nodes: &[Node]| {
            nodes.iter().filter(|node| node.availability == microtome_proto::node::Availability::Up).count()
        };
        eventually(&format!("{count} nodes up"), || async {
            let nodes = self.client.nodes(&PageQuery::default()).await.ok()?;
            let ready = self.client.candidates(1).await.ok()?.items.len();
            (up(&nodes.items) == count && ready == count).then_some(())
        })
        .await;
    }

    /// Uploads bytes as a new material with the tus protocol and returns it once the coordinators know of its copy, too:
    /// it is acknowledged when it is durable, also where they are slow to hear of it.
    pub async fn put(&self, name: &str, bytes: &[u8], population: u32) -> Material {
        let wanted = CreateMaterial {
            name: name.to_owned(),
            size: bytes.len() as u64,
            media_type: None,
            blake3: None,
            population: Some(population),
            ..CreateMaterial::default()
        };
        let material = self.client.create_material(&wanted).await.unwrap();
        // What is empty has arrived when it is made.
        if !bytes.is_empty() {
            let answer = self.patch(material.upload_url.as_ref().unwrap(), 0, bytes.to_vec()).await;
            assert_eq!(answer.status(), 204, "{}", answer.text().await.unwrap());
        }
        self.wait_until_arrived(&material.id).await
    }

    /// Waits until the coordinators know of the first copy.
    pub async fn wait_until_arrived(&self, id: &MaterialId) -> Material {
        eventually(&format!("{id} arrived"), || async {
            let material = self.client.material(id).await.ok()?;
            material.blake3.is_some().then_some(material)
        })
        .await
    }

    /// One tus PATCH.
    pub async fn patch(&self, url: &str, offset: u64, bytes: Vec<u8>) -> reqwest::Response {
        self.http
            .patch(url)
            .header("Tus-Resumable", "1.0.0")
            .header("Upload-Offset", offset)
            .header("Content-Type", "application/offset+octet-stream")
            .body(bytes)
            .send()
            .await
            .unwrap()
    }

    /// Waits until the material is `ready`: as many verified copies live as are wanted, and no others.
    pub async fn wait_until_whole(&self, id: &MaterialId) -> Material {
        eventually(&format!("{id} whole"), || async {
            let material = self.client.material(id).await.ok()?;
            let settled = material.replicas.len() == material.population as usize
                && material.replicas.iter().all(|replica| replica.state == ReplicaState::Verified);
            (material.state == MaterialState::Ready && settled).then_some(material)
        })
        .await
    }

    /// Waits until a deleted material is forgotten: that is when every holder has said that its bytes are gone.
    pub async fn wait_until_gone(&self, id: &MaterialId) {
        eventually(&format!("{id} gone"), || async {
            self.client.material(id).await.is_err_and(|error| error.code() == Some(Code::NotFound)).then_some(())
        })
        .await;
        assert!(!self.nodes.iter().any(|node| Self::holds(node, id)));
    }

    /// GET as a patient client asks.
    pub async fn ask(&self, url: &str) -> reqwest::Response {
        self.send(&self.http.get(url)).await
    }

    /// Sends a request as a patient client does: where a server says to come again (503), it does.
    pub async fn send(&self, request: &reqwest::RequestBuilder) -> reqwest::Response {
        eventually("an answer", || async {
            let answer = request.try_clone().unwrap().send().await.unwrap();
            (answer.status() != 503).then_some(answer)
        })
        .await
    }

    /// GET that must answer 200.
    pub async fn get(&self, url: &str) -> Vec<u8> {
        let answer = self.ask(url).await;
        let status = answer.status();
        let bytes = answer.bytes().await.unwrap();
        assert_eq!(status, 200, "{url}: {}", String::from_utf8_lossy(&bytes));
        bytes.to_vec()
    }

    /// GET that must be refused: status and problem.
    pub async fn refused(&self, url: &str) -> (u16, Value) {
        let answer = self.ask(url).await;
        let status = answer.status().as_u16();
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        let body = answer.text().await.unwrap();
        assert_eq!(kind, "application/problem+json", "{url}: {status} {body}");
        (status, serde_json::from_str(&body).unwrap())
    }

    /// The running node at `url`.
    pub fn node_at(&mut self, url: &str) -> &mut Server {
        self.nodes.iter_mut().find(|node| node.url == url).expect("one of our nodes")
    }

    /// Runs the program's command line against this cluster.
    pub fn command(&self, arguments: &[&str]) -> Output {
        self.program(arguments).output().unwrap()
    }

    /// The same, not started yet.
    pub fn program(&self, arguments: &[&str]) -> Command {
        let servers: Vec<_> = self.coordinators.iter().map(|server| server.url.as_str()).collect();
        let mut program = Command::new(PROGRAM);
        program
            .args(arguments)
            .env("MICROTOME_SERVER", servers.join(","))
            .env("HOME", self.dir.path())
            .env_remove("XDG_STATE_HOME")
            .env_remove("XDG_CONFIG_HOME")
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        program
    }

    /// The same with `--json`, which must succeed: what it printed.
    pub fn command_json(&self, arguments: &[&str]) -> Value {
        let output = self.command(&[arguments, &["--json"]].concat());
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {err}");
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {out}"))
    }

    /// Whether any file of the node's folder below `materials` belongs to the material.
    pub fn holds(node: &Server, id: &MaterialId) -> bool {
        node.data_dir.join("materials").join(id.as_str()).exists()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let failed = std::thread::panicking();
        for server in self.coordinators.iter_mut().chain(&mut self.nodes) {
            if let Some(child) = &mut server.child {
                let _ = child.kill();
                let _ = child.wait();
            }
            let log = server.log();
            if failed {
                let lines: Vec<_> = log.lines().collect();
                let tail = lines[lines.len().saturating_sub(40)..].join("\n");
                eprintln!("---- {} ----\n{tail}", server.name);
            } else {
                // A panic in a server is a failure of the story, whatever the story saw.
                assert!(!log.contains("panicked at"), "{} panicked:\n{log}", server.name);
            }
        }
    }
}

/// A client that is patient, too.
pub fn client(coordinators: Vec<String>, secret: Option<&str>) -> Client {
    Client::new(coordinators, secret.map(token)).with_deadline(PATIENCE)
}

/// An administrator's token for as long as a story lasts.
pub fn token(secret: &str) -> String {
    let claims = Claims::new("story", Role::Administrator, now_s(), 86_400);
    Signer::from_secret(secret).unwrap().sign(&claims).unwrap()
}

/// Silence is noticed soon, but not where a busy machine stands still for a moment.
pub fn configuration(coordinators: &[String], auth: &str) -> String {
    let mut text = String::from(
        "[cluster]\nname = \"test\"\npopulation = 2\nheartbeat_ms = 200\nunreachable_after_ms = 2000\n\
         down_after_ms = 6000\n[node]\nreserve = \"16 MiB\"\n",
    );
    for (i, url) in coordinators.iter().enumerate() {
        let _ = write!(text, "[[coordinators]]\nid = {}\nurl = \"{url}\"\n", i + 1);
    }
    let _ = write!(text, "[auth]\n{auth}");
    text
}

/// So many places on this machine's loopback.
pub fn loopback(count: usize) -> Vec<Place> {
    let place = |port| Place { address: format!("127.0.0.1:{port}"), ..Place::default() };
    free_ports(count).into_iter().map(place).collect()
}

/// Ports that were free a moment ago, all different.
fn free_ports(count: usize) -> Vec<u16> {
    let held: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    held.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}

/// Sends a process a signal, `STOP` and `CONT` say.
pub fn signal(process: u32, name: &str) {
    assert!(Command::new("kill").args([&format!("-{name}"), &process.to_string()]).status().unwrap().success());
}

/// Asks again and again until there is an answer.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(start.elapsed() < PATIENCE, "waited {} s in vain: {what}", PATIENCE.as_secs());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// BLAKE3 in hexadecimal.
pub fn blake3(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// Bytes that look random and are the same each time.
pub fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; len];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    hasher.finalize_xof().fill(&mut bytes);
    bytes
}

/// Bytes in memory, as a file to be sent.
pub struct Bytes(pub Vec<u8>);

impl Source for Bytes {
    fn name(&self) -> String {
        "noise".to_owned()
    }

    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = &self.0[(offset as usize).min(self.0.len())..];
        let len = rest.len().min(buf.len());
        buf[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }
}

/// The folder of real slides, where it is there with what the stories need of it.
pub fn real_slides() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let folder = std::env::var_os("MICROTOME_TEST_DATA").map_or(beside, PathBuf::from);
    let needed = ["CMU-1-Small-Region.svs", "truth/CMU-1-Small-Region.svs.json"];
    if needed.iter().all(|file| folder.join(file).is_file()) {
        return Some(folder);
    }
    let needed = needed.join(" and ");
    eprintln!("left out: no {needed} in {} (MICROTOME_TEST_DATA names another folder)", folder.display());
    None
}
