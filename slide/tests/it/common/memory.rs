//! How much memory and how much of a processor's time something takes, of this thread alone: other tests run beside it.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    time::{Duration, Instant},
};

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

struct Counting;

fn count(bytes: isize) {
    // A thread that ends frees what it has when the counters are gone already.
    let _ = LIVE.try_with(|live| {
        live.set(live.get() + bytes);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(live.get())));
    });
}

#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promises are handed on, here and below.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        unsafe { System.realloc(place, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What something took.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Most bytes that were allocated at once beyond those before.
    pub peak: u64,
    /// Bytes that are still allocated: what the result holds.
    pub kept: u64,
    /// The thread's time on a processor, or by the clock where the system does not tell it.
    pub time: Duration,
}

/// Does it, and says what it took.
pub fn cost<T>(work: impl FnOnce() -> T) -> (T, Cost) {
    let before = LIVE.get();
    PEAK.set(before);
    let (clock, start) = (Instant::now(), processor_time());
    let done = work();
    let time = processor_time().zip(start).map_or_else(|| clock.elapsed(), |(end, start)| end - start);
    let bytes = |counter: isize| u64::try_from(counter - before).unwrap_or(0);
    (done, Cost { peak: bytes(PEAK.get()), kept: bytes(LIVE.get()), time })
}

fn processor_time() -> Option<Duration> {
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(schedstat.split_whitespace().next()?.parse().ok()?))
}
