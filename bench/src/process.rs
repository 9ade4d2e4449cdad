//! Processes that a benchmark starts: ended whatever happens, and what they cost by the kernel's books.

use std::fs;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};

const STOP_WITHIN: Duration = Duration::from_secs(5);

/// A process of ours; it is asked to end, and then made to, when this is dropped.
pub(crate) struct Process {
    name: String,
    pub(crate) child: Child,
}

impl Process {
    pub(crate) fn spawn(name: &str, command: &mut Command) -> anyhow::Result<Self> {
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        Ok(Process { name: name.to_owned(), child })
    }

    /// An error where the process has ended.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("{} has ended ({status})", self.name),
            None => Ok(()),
        }
    }

    /// What the process and those that it started have used until now.
    pub(crate) fn usage(&self) -> anyhow::Result<Usage> {
        Usage::of(self.child.id()).with_context(|| format!("cannot read what {} has used", self.name))
    }

    /// The most memory that the process itself has had in RAM since the last [`forget_peak`](Self::forget_peak).
    pub(crate) fn peak_bytes(&self) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        status_bytes(&status, "VmHWM").with_context(|| format!("cannot read how much memory {} has had", self.name))
    }

    /// Begins anew with the peak.
    pub(crate) fn forget_peak(&self) -> anyhow::Result<()> {
        // See proc_pid_clear_refs(5).
        fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5")
            .with_context(|| format!("cannot reset how much memory {} has had", self.name))
    }

    /// Bytes that the process itself has read by system calls on files.
    pub(crate) fn read_bytes(&self) -> anyhow::Result<u64> {
        let io = fs::read_to_string(format!("/proc/{}/io", self.child.id()))?;
        let line = io.lines().find_map(|line| line.strip_prefix("rchar: "));
        line.and_then(|line| line.parse().ok()).with_context(|| format!("cannot read what {} has read", self.name))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let (Some(pid), Ok(None)) = (pid, self.child.try_wait()) {
            // It may have ended just now.
            let _ = kill_process(pid, Signal::TERM);
        }
        let asked = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if asked.elapsed() > STOP_WITHIN {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// What a tree of processes has used.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Usage {
    /// User and system time, also that of children that have ended.
    pub(crate) cpu_s: f64,
    /// Memory in RAM.
    pub(crate) resident_bytes: u64,
}

impl std::ops::Add for Usage {
    type Output = Usage;

    fn add(self, other: Usage) -> Usage {
        Usage { cpu_s: self.cpu_s + other.cpu_s, resident_bytes: self.resident_bytes + other.resident_bytes }
    }
}

/// The fields of `/proc/PID/stat` that matter here, see proc_pid_stat(5).
struct Stat {
    pid: u32,
    parent: u32,
    ticks: u64,
    resident_pages: u64,
}

impl Usage {
    /// Of this process without those that it started.
    pub(crate) fn own() -> anyhow::Result<Usage> {
        let stat =
            parse_stat(&fs::read_to_string("/proc/self/stat")?).context("/proc/self/stat has an unknown form")?;
        Ok(Usage::sum([&stat]))
    }

    fn sum<'a>(stats: impl IntoIterator<Item = &'a Stat>) -> Usage {
        let (ticks, pages) = stats.into_iter().fold((0, 0), |sum, one| (sum.0 + one.ticks, sum.1 + one.resident_pages));
        Usage {
            cpu_s: ticks as f64 / rustix::param::clock_ticks_per_second() as f64,
            resident_bytes: pages * rustix::param::page_size() as u64,
        }
    }

    /// Of a process and all below it.
    pub(crate) fn of(root: u32) -> anyhow::Result<Usage> {
        let all: Vec<Stat> = fs::read_dir("/proc")?
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
            // Whatever ends meanwhile is not ours.
            .filter_map(|pid| parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?))
            .collect();
        if !all.iter().any(|stat| stat.pid == root) {
            bail!("the process {root} is gone");
        }
        let mut tree = vec![root];
        let mut next = 0;
        while let Some(&parent) = tree.get(next) {
            tree.extend(all.iter().filter(|stat| stat.parent == parent).map(|stat| stat.pid));
            next += 1;
        }
        Ok(Usage::sum(all.iter().filter(|stat| tree.contains(&stat.pid))))
    }
}

/// A line of `/proc/PID/status` that tells kilobytes.
fn status_bytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

fn parse_stat(text: &str) -> Option<Stat> {
    // The name stands in parentheses and may itself contain some.
    let (pid, _) = text.split_once(' ')?;
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Stat {
        pid: pid.parse().ok()?,
        parent: u32::try_from(field(4)?).ok()?,
        ticks: field(14)? + field(15)? + field(16)? + field(17)?,
        resident_pages: field(24)?,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let text = "42 (a) (b) S 7 1 1 0 -1 0 0 0 0 0 11 12 13 14 20 0 1 0 5 4096 99 1";
        let stat = parse_stat(text).unwrap();
        assert_eq!((stat.pid, stat.parent, stat.ticks, stat.resident_pages), (42, 7, 50, 99));
    }

    #[test]
    fn the_peak_is_one_of_many_lines() {
        let status = "Name:\tx\nVmHWM:\t    1234 kB\nVmRSS:\t 99 kB\n";
        assert_eq!(status_bytes(status, "VmHWM"), Some(1234 * 1024));
        assert_eq!(status_bytes(status, "Vm"), None);
    }

    #[test]
    fn the_tree_holds_the_children() {
        let one = Process::spawn("sleep", Command::new("sh").args(["-c", "sleep 3 & wait"])).unwrap();
        let alone = Usage::of(std::process::id()).unwrap();
        assert!(alone.resident_bytes >= one.usage().unwrap().resident_bytes);
        drop(one);
        assert!(Usage::of(u32::MAX).is_err());
    }
}
