//! The bounds: how much memory and how much of a processor's time one question to the reader may take. The time is the
//! thread's own, so that a busy machine makes no findings.

use rustix::time::{ClockId, clock_gettime};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

/// Most bytes that may be allocated at once. The largest honest need: a tile of 16 Mi pixels of eight samples of 16 bits
/// as it was packed, 256 MiB, beside its pixels, 48 MiB, and what was packed.
const MEMORY_MAX: usize = 400 << 20;
/// Longest time for one question.
const TIME_MAX: Duration = Duration::from_secs(1);

struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// Counts, and nothing else: where the bound is crossed is told when the question was answered.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        PEAK.fetch_max(LIVE.fetch_add(layout.size(), Relaxed) + layout.size(), Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        PEAK.fetch_max(LIVE.fetch_add(layout.size(), Relaxed) + layout.size(), Relaxed);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LIVE.fetch_sub(layout.size(), Relaxed);
        PEAK.fetch_max(LIVE.fetch_add(size, Relaxed) + size, Relaxed);
        unsafe { System.realloc(place, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// To be called once. The fuzzer ends the process at every panic, also where the reader catches one of a decoder and makes
/// it an error; here only those that nobody catches count. `SHOW_PANICS` in the environment has them told.
pub fn start() {
    let show = std::env::var_os("SHOW_PANICS").is_some();
    std::panic::set_hook(Box::new(move |panic| {
        if show {
            eprintln!("{panic}");
        }
    }));
}

/// Asks the reader something and holds it to the bounds.
pub fn bounded<T>(what: &str, ask: impl FnOnce() -> T) -> T {
    let before = LIVE.load(Relaxed);
    PEAK.store(before, Relaxed);
    let start = now();
    let answer = ask();
    let (time, memory) = (now() - start, PEAK.load(Relaxed) - before);
    if time > TIME_MAX || memory > MEMORY_MAX {
        eprintln!("{what}: {} ms, {} MiB", time.as_millis(), memory >> 20);
        std::process::abort();
    }
    answer
}

fn now() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
