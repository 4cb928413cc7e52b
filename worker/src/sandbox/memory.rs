//! How much a worker may allocate.
//!
//! The limit is kept in the allocator, where every allocation passes. A worker that exceeds it ends
//! at once with an exit code that says why, and the supervisor answers the request that it was
//! evaluating.
//!
//! The allocator also keeps small freed blocks for reuse: a quarter of the instructions of a
//! decision were the system allocator's.
#![allow(
    unsafe_code,
    reason = "an allocator is unsafe by its interface, _exit and mallopt by their origin"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr;
use std::sync::atomic::{AtomicI64, AtomicPtr, AtomicUsize, Ordering};

use enforcer_protocol::{EXIT_MEMORY_LIMIT, EXIT_NO_MEMORY};
use nix::libc;

/// No limit: in every process that is not a worker, and in a worker before its limit is set.
const UNLIMITED: i64 = i64::MAX;

/// Bytes that may still be allocated. Plain loads and stores, here and below: only workers have a
/// limit, and a worker has one thread.
static LEFT: AtomicI64 = AtomicI64::new(UNLIMITED);

/// The size classes: up to [`SMALLEST`], and from there in steps of [`STEP`]. glibc rounds requests
/// up to the same sizes, so rounding up to them wastes no memory.
const SMALLEST: usize = 24;
const STEP: usize = 16;
const SIZES: usize = 64;

/// Bytes of freed blocks that are kept for each size. An evaluation allocates and frees hundreds of
/// small blocks; glibc caches seven of a size, and takes several times as long for every other.
const KEPT: usize = 16 * 1024;

/// The free blocks of each size that a worker keeps.
static SHELVES: [Shelf; SIZES] = [const { Shelf::new() }; SIZES];

struct Shelf {
    /// Each block begins with the address of the next.
    first: AtomicPtr<Free>,
    bytes: AtomicUsize,
}

struct Free {
    next: *mut Free,
}

/// The system's allocator with a worker's memory limit and a cache of free blocks for its one
/// thread. The binary must install it as its `#[global_allocator]`; in a process without a limit it
/// costs one load and a rounding up.
#[derive(Debug)]
pub struct BoundedAllocator;

/// Makes the allocator return large blocks to the system as soon as they are freed, for a
/// long-lived process that allocates them now and then. By default, glibc raises its threshold when
/// the first one is freed, and keeps up to 32 MiB of each size in every arena (`mallopt(3)`).
///
/// With a system allocator other than glibc's, nothing changes.
pub fn give_back_large_memory() {
    #[cfg(target_env = "gnu")]
    {
        /// glibc's default, before it adapts.
        const THRESHOLD: libc::c_int = 128 * 1024;
        // SAFETY: `mallopt` has no preconditions and takes the allocator's lock. It fails only
        // where the parameter or its value is unknown, and then changes nothing.
        let _ = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, THRESHOLD) };
    }
}

/// Limits the memory that this process may allocate from now on to `bytes`.
///
/// From now on the process must have one thread: [`BoundedAllocator`] relies on it.
pub(super) fn limit_allocations(bytes: u64) {
    // `UNLIMITED` itself would switch the limit off.
    LEFT.store(i64::try_from(bytes).unwrap_or(UNLIMITED).min(UNLIMITED - 1), Ordering::Relaxed);
}

fn is_limited() -> bool {
    LEFT.load(Ordering::Relaxed) != UNLIMITED
}

/// Subtracts an allocation from the bytes left; the process must be limited.
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
/// Ends a worker that gets no memory with an exit code that says so. It cannot tell whether the
/// host has no memory or the kernel's limit was reached.
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
    // no locks (`_exit(2)`), so an allocator may call it.
    unsafe { libc::_exit(i32::from(code)) }
}

/// The small size class of a request, or `None` where it is larger or needs a larger alignment.
const fn small(layout: Layout) -> Option<usize> {
    if layout.align() > STEP || layout.size() > SMALLEST + (SIZES - 1) * STEP {
        return None;
    }
    Some((layout.size() + (STEP - 1)).saturating_sub(SMALLEST) / STEP)
}

/// The layout that the system is asked for instead of `layout`: the same for all requests of one
/// size class, so that their blocks are interchangeable.
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

    /// Takes a block; null when the shelf is empty.
    ///
    /// # Safety
    /// The process has one thread. Blocks of this shelf have `size` bytes.
    unsafe fn take(&self, size: usize) -> *mut u8 {
        let first = self.first.load(Ordering::Relaxed);
        if !first.is_null() {
            // SAFETY: `put` has written it, and the block has been on the shelf since: blocks leave
            // the shelf only here, and there is no other thread.
            let next = unsafe { (*first).next };
            self.first.store(next, Ordering::Relaxed);
            let bytes = self.bytes.load(Ordering::Relaxed).wrapping_sub(size);
            self.bytes.store(bytes, Ordering::Relaxed);
        }
        first.cast()
    }

    /// Keeps a block unless the shelf is full; returns whether it does.
    ///
    /// # Safety
    /// The process has one thread. The block is not in use; `System` allocated it with `size`
    /// bytes, the size of this shelf, aligned to [`STEP`].
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
    unsafe { allocate_from_system(layout) }
}

/// # Safety
/// As [`GlobalAlloc::alloc`].
#[cold]
unsafe fn allocate_from_system(layout: Layout) -> *mut u8 {
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
        // SAFETY: by the contract there is one thread and the block is no longer in use. Every
        // block of this layout was allocated with `asked`, before the limit too.
        if unsafe { shelf.put(block, SMALLEST + index * STEP) } {
            return;
        }
    }
    // SAFETY: `System` gave this block for `asked`.
    unsafe { System.dealloc(block, asked(layout)) }
}

/// Resizes a block, moving it where necessary, without counting.
///
/// # Safety
/// As [`GlobalAlloc::realloc`], with `new` for the new size; where the process is limited, it has
/// one thread.
unsafe fn reallocate(block: *mut u8, layout: Layout, new: Layout, is_limited: bool) -> *mut u8 {
    // SAFETY: by the contract `block` is `System`'s, for `asked` of the old layout, and can be
    // freed, and the new layout, of the same alignment and not of size zero, can be allocated. The
    // copy is no longer than either block, and the blocks are distinct.
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

// SAFETY: every method passes `asked` of the layout to `System`, so that `System` frees a block
// with the layout that it was allocated with; and `asked` is never smaller than the caller's
// layout. A kept block is not in use. Only a process with a limit keeps blocks, and such a process
// has one thread: `lockdown` has checked that, and nothing in a worker starts a thread (under the
// seccomp filter, nothing can). Nothing here unwinds.
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
    fn blocks_of_one_size_class_are_interchangeable() {
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
        // SAFETY: only this thread uses the shelf; it owns the blocks while it has them, and they
        // have the size that they are given for.
        unsafe {
            assert!(kept.iter().all(|block| shelf.put(*block, SIZE)));
            assert!(!shelf.put(*last, SIZE), "it keeps more than it should");
            assert!(kept.iter().rev().all(|block| shelf.take(SIZE) == *block));
            assert!(shelf.take(SIZE).is_null() && shelf.put(*last, SIZE));
        }
    }

    proptest! {
        /// The only test that uses the worker's shelves: only one thread may use them.
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
