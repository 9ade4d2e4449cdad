//! Wrong configurations and their messages; layers and their order.

use super::*;
use std::time::Instant;

fn refused(text: &str, variables: &[(&str, &str)]) -> String {
    let layers = match Layers::of(text, variables) {
        Ok(layers) => layers,
        Err(error) => return error.to_string(),
    };
    let flags = Flags { id: Some(1), ..Flags::default() };
    match (layers.coordinator(&flags), layers.node(&Flags::default())) {
        (Err(error), _) | (_, Err(error)) => error.to_string(),
        _ => panic!("accepted: {text} {variables:?}"),
    }
}

#[test]
fn the_key_and_the_line_are_named() {
    let wrong = [
        ("[cluster]\nname = 'x'\nheartbeat = 5\n", "cluster.toml, line 3: unknown key 'heartbeat', one of 'name'"),
        ("[clustre]\n", "cluster.toml, line 1: unknown key 'clustre'"),
        ("\n[cluster]\npopulation = 'two'\n", "cluster.toml, line 3: population: invalid type"),
        ("[cluster]\ncopies_max = 0\n", "cluster.toml, line 2: copies_max = 0"),
        ("[cluster]\npopulation = 0\n", "cluster.toml, line 2: population = 0 is not within 1 and 16"),
        ("[cluster\n", "cluster.toml, line 1: "),
        ("[cluster]\ndown_after_ms = 3000\n", "cluster.toml, line 2: down_after_ms (3000) must be more than"),
        (
            "[cluster]\nheartbeat_ms = 4000\n",
            "cluster.toml, line 2: unreachable_after_ms (3000) must be more than heartbeat_ms",
        ),
        ("[cluster]\nheartbeat_ms = 1\n", "cluster.toml, line 2: heartbeat_ms = 1 is less than"),
        ("[auth]\n\n\nsecret = 'short'\n", "cluster.toml, line 4: the secret has 5 bytes"),
        ("[auth]\nsecret = 'long enough to be one'\nsecret_file = 'x'\n", "cluster.toml, line 3: 'secret' is set too"),
        ("[auth]\nsecret_file = '/nowhere/at/all'\n", "cluster.toml, line 2: cannot read /nowhere/at/all"),
        ("[auth]\nprevious_secret = 'short'\n", "cluster.toml, line 2: the secret has 5 bytes"),
        ("[auth]\nprevious_secret = 'long enough to be one'\n", "[auth]: servers have to sign"),
        ("[auth]\nsigning_key_file = '/nowhere/at/all'\n", "cluster.toml, line 2: cannot read /nowhere/at/all"),
        ("[auth]\nsigning_key_file = 'Cargo.toml'\n", "cluster.toml, line 2: Cargo.toml: it is no Ed25519 key"),
        ("[auth]\nverifying_keys_file = 'Cargo.toml'\n", "cluster.toml, line 2: Cargo.toml: it is no JWKS"),
        ("[[auth.providers]]\nissuer = 'https://x'\n", "cluster.toml, line 1: missing key 'audience'"),
        ("[[auth.providers]]\nissuer = 'https://x'\naudience = 7\n", "cluster.toml, line 3: audience: a text or"),
        ("[[auth.providers]]\nissuer = 'https://x'\naudience = 'x'\n", "cluster.toml, line 2: where are its keys?"),
        ("[tls]\ncertificate_file = 'Cargo.toml'\n", "cluster.toml, line 2: 'certificate_file' and 'key_file' belong"),
        ("[tls]\nca_file = 'Cargo.toml'\n", "cluster.toml, line 2: Cargo.toml has no 'BEGIN CERTIFICATE'"),
        ("[tls]\nca_file = '/nowhere/at/all'\n", "cluster.toml, line 2: cannot read /nowhere/at/all"),
        ("[tls]\nbetween_servers = 'yes'\n", "cluster.toml, line 2: 'yes' is none of 'on', 'prefer' and 'off'"),
        ("[tls]\n\nbetween_servers = 'on'\n", "cluster.toml, line 3: servers that encrypt"),
        ("[[coordinators]]\nid = 1\n", "cluster.toml, line 1: missing key 'url'"),
        (
            "[[coordinators]]\nid = 1\nurl = 'nonsense here'\n",
            "cluster.toml, line 3: 'nonsense here' is no server's address",
        ),
        (
            "[[coordinators]]\nid = 1\nurl = 'http://a:1'\n[[coordinators]]\nid = 1\nurl = 'http://b:1'\n",
            "cluster.toml, line 5: two coordinators have the id 1",
        ),
        ("[node]\nlisten = '7500'\n", "cluster.toml, line 2: '7500' is no address to listen on"),
        ("[node]\nreserve = 'much'\n", "cluster.toml, line 2: reserve: 'much' is no size"),
        ("[node]\nlabels = { '' = 'x' }\n", "cluster.toml, line 2: the label ''"),
        ("[node]\ncoordinators = []\n", "cluster.toml, line 2: at least one coordinator"),
    ];
    for (text, expected) in wrong {
        let message = refused(text, &[]);
        assert!(message.starts_with(expected), "{text}\n  {message}\n  {expected}");
        assert!(!message.contains('\n'), "{message}");
    }
}

#[test]
fn a_wrong_variable_is_named() {
    let wrong = [
        ("MICROTOME_CLUSTER_POPULATION", "many"),
        ("MICROTOME_CLUSTER_HEARTBEAT_MS", "-1"),
        ("MICROTOME_NODE_RESERVE", "much"),
        ("MICROTOME_NODE_LABELS", "rack"),
        ("MICROTOME_NODE_LISTEN", "here"),
        ("MICROTOME_AUTH_SECRET", "short"),
        ("MICROTOME_AUTH_PREVIOUS_SECRET", "short"),
        ("MICROTOME_AUTH_SIGNING_KEY_FILE", "/nowhere/at/all"),
        ("MICROTOME_AUTH_VERIFYING_KEYS_FILE", "/nowhere/at/all"),
        ("MICROTOME_TLS_CERTIFICATE_FILE", "/nowhere/at/all"),
        ("MICROTOME_TLS_CA_FILE", "/nowhere/at/all"),
        ("MICROTOME_TLS_BETWEEN_SERVERS", "yes"),
        ("MICROTOME_COORDINATORS", "http://a:1"),
        ("MICROTOME_COORDINATOR_URL", "nonsense here"),
    ];
    for (variable, value) in wrong {
        let message = refused("", &[(variable, value)]);
        assert!(message.starts_with(variable), "{message}");
    }
}

#[test]
fn the_command_line_comes_before_the_environment_and_that_before_the_file() {
    let text = "[node]\nlisten = '127.0.0.1:1'\ndata_dir = 'file'\nname = 'file'\nreserve = '1 KiB'\n";
    let variables = [("MICROTOME_NODE_NAME", "variable"), ("MICROTOME_NODE_DATA_DIR", "variable")];
    let layers = Layers::of(text, &variables).unwrap();
    let node = layers.node(&Flags { data_dir: Some("flag".to_owned()), ..Flags::default() }).unwrap();
    assert_eq!(node.listen, "127.0.0.1:1");
    assert_eq!(node.name.as_deref(), Some("variable"));
    assert_eq!(node.data_dir, Path::new("flag"));
    assert_eq!(node.reserve_bytes, Some(1024));
}

#[test]
fn without_a_word_everything_has_its_default() {
    let layers = Layers::of("", &[]).unwrap();
    let coordinator = layers.coordinator(&Flags::default()).unwrap();
    assert_eq!((coordinator.id, coordinator.listen.as_str(), coordinator.population), (1, "127.0.0.1:7400", 2));
    assert_eq!((coordinator.heartbeat_ms, coordinator.down_after_ms), (1000, 10_000));
    assert_eq!(coordinator.data_dir, Path::new("microtome-data/coordinator-1"));
    assert!(coordinator.coordinators.is_empty() && !coordinator.auth.is_on());
    let node = layers.node(&Flags::default()).unwrap();
    assert_eq!((node.listen.as_str(), node.runs_max), ("127.0.0.1:7500", 2));
    assert_eq!((node.scrub_bytes_per_s, node.scrub_every.as_secs()), (32 << 20, 604_800));
    assert_eq!(node.uploads_expire_after.map(|after| after.as_secs()), Some(259_200));
    assert_eq!(node.coordinators, ["http://127.0.0.1:7400"]);
}

#[test]
fn the_example_in_the_repository_runs_as_it_is() {
    let text = include_str!("../../cluster.toml");
    let layers = Layers::of(text, &[]).unwrap();
    for id in 1..=3 {
        let config = layers.coordinator(&Flags { id: Some(id), ..Flags::default() }).unwrap();
        assert_eq!(config.coordinators.len(), 3);
        assert_eq!(config.listen, format!("127.0.0.1:740{}", id - 1));
        assert_eq!(config.url.as_deref(), Some(format!("http://127.0.0.1:740{}", id - 1).as_str()));
    }
    let node = layers.node(&Flags::default()).unwrap();
    assert_eq!(node.coordinators.len(), 3);
    let which = layers.coordinator(&Flags::default()).unwrap_err().to_string();
    assert!(which.contains("1, 2, 3") && which.contains("--id"), "{which}");
    let none = layers.coordinator(&Flags { id: Some(7), ..Flags::default() }).unwrap_err().to_string();
    assert!(none.contains("no coordinator 7"), "{none}");
}

/// The commented lines of the example are settings too: with the marks taken away they must be understood.
#[test]
fn the_commented_lines_of_the_example_are_right() {
    let text: String = include_str!("../../cluster.toml")
        .lines()
        .map(|line| line.strip_prefix("#: ").unwrap_or(line).to_owned() + "\n")
        // Files that are named are read, too.
        .filter(|line| !line.contains("_file = "))
        .collect();
    let layers = Layers::of(&text, &[]).unwrap();
    layers.node(&Flags::default()).unwrap();
    layers.coordinator(&Flags { id: Some(1), ..Flags::default() }).unwrap();
}

#[test]
fn a_group_can_be_named_without_a_file() {
    let layers = Layers::of("", &[("MICROTOME_COORDINATORS", "1=http://a:7400, 2=b:7400,3=http://c:7400")]).unwrap();
    let config = layers.coordinator(&Flags { id: Some(2), ..Flags::default() }).unwrap();
    assert_eq!(config.coordinators[&2], "http://b:7400");
    assert_eq!(config.listen, "b:7400");
    let flags = Flags { coordinators: vec!["7=http://x:1".to_owned()], ..Flags::default() };
    assert_eq!(layers.coordinator(&flags).unwrap().id, 7);
}

/// The url of one that is listed was announced and used by nobody: the others go by the list.
#[test]
fn a_listed_coordinator_has_no_other_url() {
    let text = "[[coordinators]]\nid = 1\nurl = 'http://a:7400'\n";
    let layers = Layers::of(text, &[]).unwrap();
    let with = |url: &str| layers.coordinator(&Flags { url: Some(url.to_owned()), ..Flags::default() });
    let message = with("http://b:7400").unwrap_err().to_string();
    let expected = "'http://b:7400' on the command line: coordinator 1 is listed with the url http://a:7400";
    assert!(message.starts_with(expected) && message.contains("leave"), "{message}");
    assert_eq!(with("a:7400/").unwrap().url.as_deref(), Some("http://a:7400"));
    let message = refused(text, &[("MICROTOME_COORDINATOR_URL", "http://b:7400")]);
    assert!(message.starts_with("MICROTOME_COORDINATOR_URL: coordinator 1 is listed"), "{message}");

    let alone = Layers::of("", &[("MICROTOME_COORDINATOR_URL", "http://b:7400")]).unwrap();
    assert_eq!(alone.coordinator(&Flags::default()).unwrap().url.as_deref(), Some("http://b:7400"));
}

/// 'listen' stands below [[coordinators]], and its variable is singular: the plural changed nothing, and nobody said so.
#[test]
fn variables_that_are_no_settings_are_told() {
    let known = ["MICROTOME_COORDINATORS", "MICROTOME_COORDINATOR_LISTEN", "MICROTOME_NODE_ZONE", "MICROTOME_SERVER"];
    let unknown = ["MICROTOME_CLUSTER_POPULACE", "MICROTOME_COORDINATOR", "MICROTOME_COORDINATORS_LISTEN"];
    let all: Vec<_> = known.iter().chain(&unknown).map(|name| (*name, "x")).collect();
    assert_eq!(Layers::of("", &all).unwrap().unknown_variables(), unknown);
}

/// A node with the defaults told a coordinator on another machine that it is at 127.0.0.1.
#[test]
fn an_address_that_no_other_machine_reaches_is_noticed() {
    let noticed = |listen: &str, url: Option<&str>, coordinators: &[&str]| {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let flags = Flags {
            listen: Some(listen.to_owned()),
            url: url.map(str::to_owned),
            coordinators: owned(coordinators),
            ..Flags::default()
        };
        let node = Layers::of("", &[]).unwrap().node(&flags).unwrap();
        only_here(&node).map(|(address, coordinator)| (address.to_owned(), coordinator.to_owned()))
    };
    let (here, there) = ("http://127.0.0.1:7400", "http://lab.example:7400");
    assert_eq!(noticed("127.0.0.1:7500", None, &[here]), None);
    assert_eq!(noticed("127.0.0.1:7500", None, &["localhost", "http://[::1]", "http://[::1]:7400/"]), None);
    assert_eq!(noticed("0.0.0.0:7500", Some("http://storage.example:7500"), &[there]), None);
    assert_eq!(noticed("127.0.0.1:7500", Some("http://storage.example:7500"), &[there]), None);
    let found = |address: &str| Some((address.to_owned(), there.to_owned()));
    assert_eq!(noticed("127.0.0.1:7500", None, &[here, there]), found("127.0.0.1:7500"));
    assert_eq!(noticed("[::1]:7500", None, &[there]), found("[::1]:7500"));
    assert_eq!(noticed("0.0.0.0:7500", Some("http://localhost:7500"), &[there]), found("http://localhost:7500"));
}

const PROVIDER: &str = "[auth]\nsecret = 'a secret of some length'\n[[auth.providers]]\nissuer = 'https://login.lab.example'\n\
                        audience = 'microtome'\njwks_url = 'https://login.lab.example/keys'\n";

#[test]
fn what_is_wrong_with_a_provider_is_told_with_its_line() {
    let wrong = [
        ("jwks_file = 'x'\n", "cluster.toml, line 7: 'jwks_url' is set too"),
        ("role_claim = 'roles'\n", "cluster.toml, line 7: what does it say? Set 'administrator_role'"),
        ("administrator_role = 'x'\n", "cluster.toml, line 7: which claim has it? Set 'role_claim'"),
        ("secret = 'x'\n", "cluster.toml, line 7: unknown key 'secret'"),
        (
            "[[auth.providers]]\nissuer = 'https://login.lab.example'\naudience = 'x'\njwks_url = 'https://x/y'\n",
            "cluster.toml, line 8: two providers have the issuer 'https://login.lab.example'",
        ),
        (
            "[[auth.providers]]\nissuer = ''\naudience = 'x'\njwks_url = 'https://x/y'\n",
            "cluster.toml, line 8: issuer is empty",
        ),
        (
            "[[auth.providers]]\nissuer = 'y'\naudience = []\njwks_url = 'https://x/y'\n",
            "cluster.toml, line 9: an audience is needed",
        ),
        (
            "[[auth.providers]]\nissuer = 'y'\naudience = 'x'\njwks_url = 'http://login.lab.example/y'\n",
            "cluster.toml, line 10: 'http://login.lab.example/y' is no address of keys",
        ),
    ];
    for (more, expected) in wrong {
        let message = refused(&format!("{PROVIDER}{more}"), &[]);
        assert!(message.starts_with(expected), "{more}\n  {message}\n  {expected}");
    }
    let alone = PROVIDER.lines().filter(|line| !line.starts_with("secret")).map(|line| format!("{line}\n"));
    let message = refused(&alone.collect::<String>(), &[]);
    assert!(message.starts_with("cluster.toml, line 3: servers have to sign"), "{message}");
    let layers = Layers::of(&format!("{PROVIDER}administrators = ['ada']\n"), &[]).unwrap();
    let auth = layers.node(&Flags::default()).unwrap().auth;
    assert_eq!(auth.providers[0].policy.administrators, ["ada"]);
    assert_eq!(auth.providers[0].policy.audiences, ["microtome"]);
}

#[test]
fn secrets_and_keys_come_from_files_and_variables_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END \
               PRIVATE KEY-----\n";
    let (secret, key) = (file("secret", "a secret of some length\n"), file("key.pem", pem));
    let keys = file("keys.json", "{\"keys\":[]}");
    let variables = [
        ("MICROTOME_AUTH_PREVIOUS_SECRET_FILE", secret.as_str()),
        ("MICROTOME_AUTH_SIGNING_KEY_FILE", key.as_str()),
        ("MICROTOME_AUTH_VERIFYING_KEYS_FILE", keys.as_str()),
        ("MICROTOME_AUTH_FIRST_PASSWORD_FILE", secret.as_str()),
    ];
    let first = Layers::of("", &variables).unwrap().first_password().unwrap();
    assert_eq!(first.unwrap().as_str(), "a secret of some length");
    let short = file("short", "short\n");
    let refused = Layers::of("", &[("MICROTOME_AUTH_FIRST_PASSWORD_FILE", short.as_str())]).unwrap().first_password();
    assert!(refused.unwrap_err().to_string().contains("10 to 1024"));
    let auth = Layers::of("", &variables).unwrap().auth().unwrap();
    assert_eq!(auth.previous_secret.unwrap().as_str(), "a secret of some length");
    assert!(auth.secret.is_none() && auth.signing_key.is_some());
    assert_eq!(auth.verifying_keys, Some(keys.into()));
}

#[test]
fn no_text_makes_reading_slow_or_crash() {
    let begin = Instant::now();
    for text in ["[".repeat(10_000), "a=".repeat(1000), "[[node]]\n".to_owned(), "\u{0}".to_owned()] {
        assert!(Layers::of(&text, &[]).is_err());
    }
    assert!(begin.elapsed().as_secs() < 5);
}

#[test]
fn checks_are_read_and_what_cannot_be_one_is_refused() {
    let node = |text: &str, variables: &[(&str, &str)]| Layers::of(text, variables).unwrap().node(&Flags::default());
    assert_eq!(node("", &[]).unwrap().checks, None);
    let written =
        "[checks]\nprogram = [\"/usr/bin/clamdscan\", \"{file}\"]\nurl = \"https://scanner/\"\nwithin = \"90s\"";
    let checks = node(written, &[]).unwrap().checks.unwrap();
    assert_eq!((checks.program.len(), checks.url.as_deref(), checks.at_once), (2, Some("https://scanner/"), 2));
    assert_eq!(checks.within, Duration::from_secs(90));
    let checks = node("", &[("MICROTOME_CHECKS_PROGRAM", "/bin/check,-x")]).unwrap().checks.unwrap();
    assert_eq!((checks.program, checks.url), (vec!["/bin/check".to_owned(), "-x".to_owned()], None));
    for (wrong, word) in [
        ("program = [\"clamdscan\"]", "whole path"),
        ("program = []", "empty"),
        ("url = \"ftp://scanner\"", "no address"),
        ("url = \"https://scanner/\"\nwithin = \"0s\"", "1 s"),
        ("url = \"https://scanner/\"\nat_once = 0", "at_once"),
    ] {
        let error = node(&format!("[checks]\n{wrong}"), &[]).unwrap_err().to_string();
        assert!(error.contains(word) && error.contains("line"), "{error}");
    }
}
