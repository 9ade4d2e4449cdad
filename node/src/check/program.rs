//! A check by a program: exit code 0 accepts, 1 to 125 refuse with the last lines of its output, and all else tells
//! nothing (a shell's codes for a program that is not found or was killed among it).

use super::{Subject, Untold, Verdict, reason};
use microtome_proto::limits::CHECK_REASON_LEN_MAX;
use rustix::process::{Pid, Signal, kill_process_group};
use std::{collections::VecDeque, env, path::Path, process::Stdio, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::{Child, Command},
};

/// Output of children that outlive the program is waited for this long.
const OUTPUT_WITHIN: Duration = Duration::from_secs(1);

/// The program and all that it has started: they end with this.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Where all have ended there is none.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Runs the program on a file. What comes from outside reaches it through variables and the path alone, which has the
/// material's id in it and no name.
///
/// # Errors
/// Where it cannot be started, is killed, ends with another code, or does not end in time.
pub(super) async fn run(
    program: &str,
    arguments: &[String],
    subject: &Subject,
    within: Duration,
) -> Result<Verdict, Untold> {
    let path = subject.path.to_string_lossy();
    let filled =
        arguments.iter().map(|argument| argument.replace("{file}", &path).replace("{id}", subject.id.as_str()));
    let mut command = Command::new(program);
    command.args(filled).current_dir(Path::new("/")).process_group(0).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // The cluster's secret may be among them.
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("MICROTOME_")) {
        command.env_remove(name);
    }
    let size = subject.size.to_string();
    for (name, value) in [
        ("MICROTOME_FILE", &*path),
        ("MICROTOME_ID", subject.id.as_str()),
        ("MICROTOME_NAME", &subject.name),
        ("MICROTOME_SIZE", &size),
        ("MICROTOME_MEDIA_TYPE", &subject.media_type),
        ("MICROTOME_BLAKE3", &subject.blake3),
        ("MICROTOME_SPACE", subject.space.as_deref().unwrap_or_default()),
        ("MICROTOME_CASE", subject.case.as_deref().unwrap_or_default()),
    ] {
        command.env(name, value.replace('\0', " "));
    }
    let mut child = command.spawn().map_err(|error| Untold(format!("{program} cannot be started: {error}")))?;
    let group = Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
    let ended = tokio::time::timeout(within, watch(&mut child, group)).await;
    let (code, said) = match ended {
        Ok(ended) => ended.map_err(|error| Untold(format!("{program}: {error}")))?,
        Err(_) => {
            return Err(Untold(format!("{program} did not end within {} s and was killed", within.as_secs_f32())));
        }
    };
    let said = reason(&said);
    match code {
        Some(0) => Ok(Verdict::Accepted),
        Some(code @ 1..=125) if said.is_empty() => Ok(Verdict::Refused(format!("the check ended with {code}"))),
        Some(1..=125) => Ok(Verdict::Refused(said)),
        Some(code) => Err(Untold(format!("{program} ended with {code}: {said}"))),
        None => Err(Untold(format!("{program} was killed: {said}"))),
    }
}

/// How it ended, and the last of what it said.
async fn watch(child: &mut Child, group: Group) -> std::io::Result<(Option<i32>, String)> {
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let listening = tokio::spawn(async move {
        let (out, err) = tokio::join!(last_of(out), last_of(err));
        format!("{out}\n{err}")
    });
    let status = child.wait().await?;
    // What it has left behind holds its output open.
    let said = match tokio::time::timeout(OUTPUT_WITHIN, listening).await {
        Ok(said) => said.unwrap_or_default(),
        Err(_) => String::new(),
    };
    drop(group);
    Ok((status.code(), said))
}

/// The last bytes of an output, which is read to its end: who writes is never held up.
async fn last_of(output: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut output) = output else { return String::new() };
    let (mut last, mut piece) = (VecDeque::new(), [0; 4096]);
    while let Ok(len @ 1..) = output.read(&mut piece).await {
        last.extend(piece.iter().take(len));
        let surplus = last.len().saturating_sub(CHECK_REASON_LEN_MAX);
        last.drain(..surplus);
    }
    String::from_utf8_lossy(&Vec::from(last)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn subject() -> Subject {
        Subject {
            id: "m-0123456789".parse().unwrap(),
            name: "; touch \"$(pwd)\"".to_owned(),
            size: 7,
            media_type: "image/tiff".to_owned(),
            blake3: "ab".repeat(32),
            space: Some("lab".to_owned()),
            case: None,
            url: String::new(),
            path: "/some where/file".into(),
        }
    }

    async fn shell(script: &str, within: Duration) -> Result<Verdict, Untold> {
        let arguments = ["-c", script, "check", "{file}", "{id}"].map(str::to_owned);
        run("/bin/sh", &arguments, &subject(), within).await
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn exit_codes_accept_refuse_or_tell_nothing() {
        assert_eq!(shell("exit 0", LONG).await, Ok(Verdict::Accepted));
        let refused = shell("echo Eicar; echo FOUND >&2; exit 1", LONG).await;
        assert_eq!(refused, Ok(Verdict::Refused("Eicar FOUND".to_owned())));
        assert_eq!(shell("exit 125", LONG).await, Ok(Verdict::Refused("the check ended with 125".to_owned())));
        for script in ["exit 126", "exit 127", "exit 130", "kill -9 $$"] {
            assert!(shell(script, LONG).await.is_err(), "{script}");
        }
        let missing = run("/no/such/program", &[], &subject(), LONG).await;
        assert!(missing.unwrap_err().0.contains("/no/such/program"));
    }

    #[tokio::test]
    async fn it_is_told_of_the_file_by_path_and_variables() {
        let script = r#"[ "$1|$2" = "/some where/file|m-0123456789" ] || exit 3
            [ "$MICROTOME_NAME" = '; touch "$(pwd)"' ] || exit 4
            [ "$MICROTOME_SIZE|$MICROTOME_MEDIA_TYPE|$MICROTOME_SPACE|$MICROTOME_CASE" = "7|image/tiff|lab|" ] || exit 5
            read line && exit 6
            exit 0"#;
        assert_eq!(shell(script, LONG).await, Ok(Verdict::Accepted));
    }

    #[tokio::test]
    async fn one_that_hangs_is_killed_with_all_that_it_has_started() {
        let dir = tempfile::tempdir().unwrap();
        let begun = dir.path().join("begun");
        let script = format!("sleep 1000 & echo $! > {}; wait", begun.display());
        let start = Instant::now();
        let told = shell(&script, Duration::from_secs(2)).await;
        assert!(told.unwrap_err().0.contains("within 2 s") && start.elapsed() < LONG);
        let child = std::fs::read_to_string(&begun).unwrap();
        let is_gone = || {
            let status = std::fs::read_to_string(format!("/proc/{}/stat", child.trim())).unwrap_or_default();
            status.is_empty() || status.contains(") Z ")
        };
        while !is_gone() {
            assert!(start.elapsed() < LONG, "its child goes on");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    #[tokio::test]
    async fn who_says_much_is_heard_to_the_end() {
        let told = shell("yes no | head -c 9999999; echo last; exit 1", LONG).await;
        let Ok(Verdict::Refused(reason)) = told else { panic!("{told:?}") };
        assert!(reason.len() <= CHECK_REASON_LEN_MAX && reason.ends_with("no last"), "{}", reason.len());
    }
}
