//! The same memory for everyone who is measured.

use std::{fs, hint, thread};

use anyhow::Context as _;

/// What stays free, for the system and whoever else needs some meanwhile.
const LEFT: usize = 1 << 30;
const THREADS: usize = 2;
const PAGE: usize = 4096;

/// Writes to all free memory and gives it back.
///
/// Free memory of a virtual machine may be its host's (free page reporting), and the first who writes to it waits until the
/// host has given it again, which takes several times as long as to write to it: who was measured first would pay for all
/// others.
///
/// # Errors
/// Where the system does not tell how much is free.
pub(crate) fn warm() -> anyhow::Result<()> {
    let share = free()?.saturating_sub(LEFT) / THREADS;
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let mut memory = vec![0_u8; share];
                memory.iter_mut().step_by(PAGE).for_each(|byte| *byte = 1);
                hint::black_box(&memory);
            });
        }
    });
    Ok(())
}

/// Bytes that hold nothing, not even what was read from files.
fn free() -> anyhow::Result<usize> {
    let told = fs::read_to_string("/proc/meminfo")?;
    let line = told.lines().find_map(|line| line.strip_prefix("MemFree:")).context("/proc/meminfo has no MemFree")?;
    let kib = line.trim().trim_end_matches("kB").trim().parse::<usize>()?;
    Ok(kib << 10)
}
