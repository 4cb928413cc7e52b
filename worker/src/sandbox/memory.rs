//! How much a worker may allocate.
//!
//! The engine has a limit of its own, but only together with an allocator that takes several times
//! the memory for every tenant (ARCHITECTURE.md has the figures). So the limit is kept where every
//! allocation passes: whoever comes over it ends at once, with an exit code that says why, and the
//! supervisor answers the request that it was at.
//!
//! In the same place, small blocks that a worker frees are kept at hand: a quarter of the instructions
//! of a decision were the system allocator's.
#![allow(
    unsafe_code,
    reason = "an allocator is unsafe by its interface, _exit and mallopt by their origin"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr;
use std::sync::atomic::{AtomicI64, AtomicPtr, AtomicUsize, Ordering};

use enforcer_protocol::{EXIT_MEMORY_LIMIT, EXIT_NO_MEMORY};
use nix::libc;

/// No limit: of every process that is no worker, and of a worker that does not know its own yet.
const UNLIMITED: i64 = i64::MAX;

/// What may still be allocated. Plain loads and stores, here and below: a worker has one thread, and
/// nobody else has a limit.
static LEFT: AtomicI64 = AtomicI64::new(UNLIMITED);

/// Blocks up to [`SMALLEST`] and from there in steps of [`STEP`] have sizes of their own; these are
/// what glibc makes of a request, so that nothing is lost by asking for them.
const SMALLEST: usize = 24;
const STEP: usize = 16;
const SIZES: usize = 64;

/// Bytes of each size that are kept when they are freed. An evaluation allocates and frees hundreds
/// of small blocks; glibc keeps seven of a size close by, and takes several times as long for every
/// other.
const KEPT: usize = 16 * 1024;

/// The free blocks of each size that a worker keeps.
static SHELVES: [Shelf; SIZES] = [const { Shelf::new() }; SIZES];

struct Shelf {
    /// Each begins with the address of the next.
    first: AtomicPtr<Free>,
    bytes: AtomicUsize,
}

struct Free {
    next: *mut Free,
}

/// The system's allocator, with the limit that a worker gets, and blocks at hand for a worker's one
/// thread. It belongs into the binary as its `#[global_allocator]`; a process without a limit pays
/// one load and rounding up for it.
#[derive(Debug)]
pub struct BoundedAllocator;

/// Has large pieces of memory given back to the system as soon as they are freed, for a process that
/// lives long and has some now and then. Left alone, glibc takes the first one that is freed for a
/// sign that more will come, and keeps up to 32 MiB of each size in every arena (`mallopt(3)`).
///
/// Where the system's allocator is another, nothing is changed.
pub fn give_back_large_memory() {
    #[cfg(target_env = "gnu")]
    {
        /// glibc's own, from before it learns.
        const THRESHOLD: libc::c_int = 128 * 1024;
        // SAFETY: `mallopt` has no preconditions and takes the allocator's lock. It fails only where
        // the parameter or its value is not known, and has then changed nothing.
        let _ = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, THRESHOLD) };
    }
}

/// Limits what this process may have allocated from now on to `bytes`.
///
/// From now on the process must have one thread: [`BoundedAllocator`] relies on it.
pub(super) fn limit_allocations(bytes: u64) {
    // The highest number is no limit at all, and would be no limit of one thread's either.
    LEFT.store(i64::try_from(bytes).unwrap_or(UNLIMITED).min(UNLIMITED - 1), Ordering::Relaxed);
}

fn is_limited() -> bool {
    LEFT.load(Ordering::Relaxed) != UNLIMITED
}

/// Takes what is allocated from what is left; the process must be limited.
fn count(more: usize, less: usize) {
    // No layout is larger than `isize::MAX`.
    let left = LEFT
        .load(Ordering::Relaxed)
        .wrapping_add(less.cast_signed() as i64)
        .wrapping_sub(more.cast_signed() as i64);
    LEFT.store(left, Ordering::Relaxed);
    if left < 0 {
        exit(EXIT_MEMORY_LIMIT);
    }
}
/// Sees to it that a worker that gets no memory says so by its exit code. Whether the host has none,
/// or the kernel's limit was reached, it cannot tell.
///
/// The process must be limited.
fn checked(pointer: *mut u8) -> *mut u8 {
    if pointer.is_null() {
        exit(EXIT_NO_MEMORY);
    }
    pointer
}

fn exit(code: u8) -> ! {
    // SAFETY: `_exit` ends the process and has no preconditions. It runs no destructors and takes
    // no locks (`_exit(2)`), which is what makes it safe to be called by an allocator.
    unsafe { libc::_exit(i32::from(code)) }
}

/// Which of the small sizes a request gets, or none where it is larger, or to be aligned more.
const fn small(layout: Layout) -> Option<usize> {
    if layout.align() > STEP || layout.size() > SMALLEST + (SIZES - 1) * STEP {
        return None;
    }
    Some((layout.size() + (STEP - 1)).saturating_sub(SMALLEST) / STEP)
}

/// What the system is asked for instead of `layout`: for all requests of one small size the same, so
/// that the block of one can be another's.
const fn asked(layout: Layout) -> Layout {
    match small(layout) {
        // SAFETY: the alignment is a power of two, and the sum at most that of the largest size.
        Some(index) => unsafe { Layout::from_size_align_unchecked(SMALLEST + index * STEP, STEP) },
        None => layout,
    }
}

impl Shelf {
    const fn new() -> Self {
        Self { first: AtomicPtr::new(ptr::null_mut()), bytes: AtomicUsize::new(0) }
    }

    /// Takes a block, or null where there is none.
    ///
    /// # Safety
    /// The process has one thread. Blocks of this shelf have `size` bytes.
    unsafe fn take(&self, size: usize) -> *mut u8 {
        let first = self.first.load(Ordering::Relaxed);
        if !first.is_null() {
            // SAFETY: `put` has written it, into a block that nobody else has had since, because
            // blocks leave the shelf here only and no other thread is between these lines.
            let next = unsafe { (*first).next };
            self.first.store(next, Ordering::Relaxed);
            let bytes = self.bytes.load(Ordering::Relaxed).wrapping_sub(size);
            self.bytes.store(bytes, Ordering::Relaxed);
        }
        first.cast()
    }

    /// Keeps a block, unless there are enough; returns whether it does.
    ///
    /// # Safety
    /// The process has one thread. The block is nobody's, and is one that `System` gave for `size`
    /// bytes, that of this shelf, aligned to [`STEP`].
    unsafe fn put(&self, block: *mut u8, size: usize) -> bool {
        let bytes = self.bytes.load(Ordering::Relaxed).wrapping_add(size);
        if bytes > KEPT {
            return false;
        }
        #[expect(clippy::cast_ptr_alignment, reason = "by the contract it is aligned to 16")]
        let block = block.cast::<Free>();
        let next = self.first.load(Ordering::Relaxed);
        // SAFETY: by the contract it is ours to write to; a block of any shelf is larger than a
        // pointer and aligned for it.
        unsafe { block.write(Free { next }) };
        self.first.store(block, Ordering::Relaxed);
        self.bytes.store(bytes, Ordering::Relaxed);
        true
    }
}

/// Allocates in a process that is limited, without counting.
///
/// # Safety
/// As [`GlobalAlloc::alloc`], and the process has one thread.
#[inline]
unsafe fn allocate(layout: Layout) -> *mut u8 {
    if let Some(index) = small(layout)
        && let Some(shelf) = SHELVES.get(index)
    {
        // SAFETY: by the contract there is one thread.
        let block = unsafe { shelf.take(SMALLEST + index * STEP) };
        if !block.is_null() {
            return block;
        }
    }
    // SAFETY: the caller's contract is the same as this callee's.
    unsafe { allocate_anew(layout) }
}

/// # Safety
/// As [`GlobalAlloc::alloc`].
#[cold]
unsafe fn allocate_anew(layout: Layout) -> *mut u8 {
    // SAFETY: `asked` is a valid layout, of a size that is not zero since that of `layout` is not.
    checked(unsafe { System.alloc(asked(layout)) })
}

/// Frees in a process that is limited, without counting.
///
/// # Safety
/// As [`GlobalAlloc::dealloc`], and the process has one thread.
#[inline]
unsafe fn free(block: *mut u8, layout: Layout) {
    if let Some(index) = small(layout)
        && let Some(shelf) = SHELVES.get(index)
    {
        // SAFETY: by the contract there is one thread and the block is nobody's any more. Every
        // block of this layout was asked for as `asked` has it, before the limit too.
        if unsafe { shelf.put(block, SMALLEST + index * STEP) } {
            return;
        }
    }
    // SAFETY: `System` gave this block for `asked`.
    unsafe { System.dealloc(block, asked(layout)) }
}

/// Moves a block, where it has to move, without counting.
///
/// # Safety
/// As [`GlobalAlloc::realloc`], with `new` for the new size; where the process is limited, it has one
/// thread.
unsafe fn reallocate(block: *mut u8, layout: Layout, new: Layout, is_limited: bool) -> *mut u8 {
    // SAFETY: by the contract `block` is `System`'s, for `asked` of the old layout, and can be freed,
    // and the new layout, of the same alignment and not of size zero, can be allocated. What is
    // copied is as long as both blocks at most, and they are two.
    unsafe {
        match (small(layout), small(new)) {
            (Some(old), Some(same)) if old == same => block,
            (None, None) => System.realloc(block, layout, new.size()),
            _ => {
                let moved = if is_limited { allocate(new) } else { System.alloc(asked(new)) };
                if !moved.is_null() {
                    ptr::copy_nonoverlapping(block, moved, layout.size().min(new.size()));
                    if is_limited {
                        free(block, layout);
                    } else {
                        System.dealloc(block, asked(layout));
                    }
                }
                moved
            }
        }
    }
}

// SAFETY: whatever `System` is asked for, it is asked by `asked` of the layout, in every method, so
// that `System` gets the same layout back that it gave the block for; and `asked` is no less than
// what the caller has to get. What is kept in between is one that nobody has. Only a process with a
// limit keeps blocks, and such a process has one thread: `lockdown` has looked, and nothing in a
// worker starts one (with the filter of system calls, nothing can). Nothing here unwinds.
unsafe impl GlobalAlloc for BoundedAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_limited() {
            count(layout.size(), 0);
            // SAFETY: the caller's contract is the same as this callee's, and there is one thread.
            return unsafe { allocate(layout) };
        }
        // SAFETY: `asked` is a valid layout, of a size that is not zero since the caller's is not.
        unsafe { System.alloc(asked(layout)) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if is_limited() {
            count(layout.size(), 0);
            // SAFETY: as in `alloc`.
            return checked(unsafe { System.alloc_zeroed(asked(layout)) });
        }
        // SAFETY: as in `alloc`.
        unsafe { System.alloc_zeroed(asked(layout)) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: by the caller's contract the new size makes a valid layout with this alignment.
        let new = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        if is_limited() {
            count(new_size, layout.size());
            // SAFETY: the caller's contract is the same as this callee's, and there is one thread.
            return checked(unsafe { reallocate(block, layout, new, true) });
        }
        // SAFETY: the caller's contract is the same as this callee's.
        unsafe { reallocate(block, layout, new, false) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if is_limited() {
            count(0, layout.size());
            // SAFETY: the caller's contract is the same as this callee's, and there is one thread.
            return unsafe { free(block, layout) };
        }
        // SAFETY: `System` gave this block for `asked`.
        unsafe { System.dealloc(block, asked(layout)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    #[test]
    fn blocks_of_a_small_size_are_each_other_s() {
        let mut before = 0;
        for size in 1..=2000 {
            let asked = asked(layout(size, 8));
            assert!(asked.size() >= size && asked.size() >= before && asked.align() >= 8);
            before = asked.size();
            match small(layout(size, 8)) {
                Some(index) => assert_eq!(asked.size(), SMALLEST + index * STEP, "{size}"),
                None => assert_eq!(asked, layout(size, 8)),
            }
        }
        let largest = SMALLEST + (SIZES - 1) * STEP;
        assert_eq!(small(layout(SMALLEST, 1)), Some(0));
        assert_eq!(small(layout(SMALLEST + 1, 1)), Some(1));
        assert_eq!(small(layout(largest, 16)), Some(SIZES - 1));
        assert_eq!(small(layout(largest + 1, 16)), None);
        assert_eq!(small(layout(8, 32)), None);
    }

    #[test]
    fn a_shelf_keeps_a_bounded_number_of_blocks_and_gives_the_last_one_first() {
        const SIZE: usize = 1032;
        let shelf = Shelf::new();
        let mut places = vec![[0_u128; SIZE.div_ceil(16)]; KEPT / SIZE + 1];
        let blocks: Vec<*mut u8> =
            places.iter_mut().map(|place| place.as_mut_ptr().cast()).collect();
        let (last, kept) = blocks.split_last().unwrap();
        // SAFETY: only this thread knows the shelf; the blocks are nobody's else while it has them,
        // and of the size that they are given for.
        unsafe {
            assert!(kept.iter().all(|block| shelf.put(*block, SIZE)));
            assert!(!shelf.put(*last, SIZE), "it keeps more than it should");
            assert!(kept.iter().rev().all(|block| shelf.take(SIZE) == *block));
            assert!(shelf.take(SIZE).is_null() && shelf.put(*last, SIZE));
        }
    }

    proptest! {
        /// The only test that uses the worker's shelves, which only one thread may.
        #[test]
        fn blocks_keep_what_is_written_to_them(
            steps in proptest::collection::vec((0_usize..20, 1_usize..1300, 0_u32..6), 1..300),
        ) {
            let mut blocks: Vec<Option<(*mut u8, Layout, u8)>> = vec![None; 20];
            let holds = |block: *mut u8, length: usize, byte: u8| {
                // SAFETY: the block has at least this length, and all of it was written.
                unsafe { std::slice::from_raw_parts(block, length) }.iter().all(|it| *it == byte)
            };
            for (mark, (place, size, align)) in steps.into_iter().enumerate() {
                let byte = u8::try_from(mark % 251).unwrap();
                // SAFETY: sizes are not zero; a block is freed once, with the layout that it has;
                // and no other thread uses the shelves.
                unsafe {
                    let (block, new) = match blocks[place].take() {
                        Some((block, old, written)) => {
                            prop_assert!(holds(block, old.size(), written));
                            if size % 3 == 0 {
                                free(block, old);
                                continue;
                            }
                            let new = layout(size, old.align());
                            let moved = reallocate(block, old, new, true);
                            prop_assert!(holds(moved, old.size().min(size), written));
                            (moved, new)
                        }
                        None => {
                            let new = layout(size, 1 << align);
                            (allocate(new), new)
                        }
                    };
                    prop_assert_eq!(block.addr() % new.align(), 0);
                    block.write_bytes(byte, size);
                    blocks[place] = Some((block, new, byte));
                }
            }
            for (block, old, written) in blocks.into_iter().flatten() {
                prop_assert!(holds(block, old.size(), written));
                // SAFETY: as above.
                unsafe { free(block, old) };
            }
        }
    }
}
