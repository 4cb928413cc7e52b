//! The system calls that a sealed worker may make: any other ends it.
//!
//! The list is data, with a reason for each entry. It was derived from what a worker needs, not
//! from a trace of its calls. Wherever the kernel may accept flags unknown here, an argument is
//! compared with its allowed values instead of its forbidden ones.

use std::collections::BTreeMap;
use std::os::fd::RawFd;

use nix::libc::{self, c_int};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

/// A system call that may be made.
struct Rule {
    /// Its number on this architecture.
    call: libc::c_long,
    /// The conditions on its arguments: all of one alternative must hold. Empty: any arguments.
    allowed: &'static [&'static [Condition]],
    /// Why a worker needs it.
    #[cfg_attr(not(test), expect(dead_code, reason = "it is for the reader of the list"))]
    reason: &'static str,
}

/// A condition on one argument.
struct Condition {
    /// Which argument, from 0.
    argument: u8,
    test: Test,
}

#[derive(Clone, Copy)]
enum Test {
    /// The kernel takes it as an `int`, and it must have this value.
    Int(c_int),
    /// As `Int`, with a value that is known only at run time.
    Own(Own),
    /// The kernel takes it as a `long`, and it must have this value.
    Long(u64),
    /// The kernel takes it as a `long`, and it must have none of these bits.
    Lacks(u64),
}

/// Numbers that identify this process.
#[derive(Clone, Copy)]
enum Own {
    Socket,
    Process,
    Thread,
}

/// The numbers behind [`Own`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    /// The file descriptor of the supervisor's socket.
    pub(super) socket: RawFd,
    /// The result of `getpid(2)`.
    pub(super) process: libc::pid_t,
    /// The result of `gettid(2)`.
    pub(super) thread: libc::pid_t,
}

const fn argument(argument: u8, test: Test) -> Condition {
    Condition { argument, test }
}

const fn bits(flags: c_int) -> u64 {
    // None of the flags below has the sign bit.
    flags.unsigned_abs() as u64
}

const PRIVATE_ANONYMOUS: u64 = bits(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
const PRIVATE_ANONYMOUS_NORESERVE: u64 = PRIVATE_ANONYMOUS | bits(libc::MAP_NORESERVE);
const EXECUTABLE_OR_GROWING: u64 =
    bits(libc::PROT_EXEC | libc::PROT_GROWSDOWN | libc::PROT_GROWSUP);
const ANYWHERE: Condition = argument(0, Test::Long(0));
const NOT_EXECUTABLE: Test = Test::Lacks(EXECUTABLE_OR_GROWING);

const RULES: &[Rule] = &[
    Rule {
        call: libc::SYS_read,
        allowed: &[&[argument(0, Test::Own(Own::Socket))]],
        reason: "frames arrive on the socket",
    },
    Rule {
        call: libc::SYS_write,
        allowed: &[
            &[argument(0, Test::Own(Own::Socket))],
            &[argument(0, Test::Int(libc::STDERR_FILENO))],
        ],
        reason: "answers go to the socket; print() and panic messages to standard error",
    },
    Rule {
        call: libc::SYS_mmap,
        // Compared whole, not masked: a mask lets MAP_GROWSDOWN and future flags through. An
        // address may not be requested either: pages far apart need page tables, which no limit of
        // a process counts.
        allowed: &[
            &[ANYWHERE, argument(2, NOT_EXECUTABLE), argument(3, Test::Long(PRIVATE_ANONYMOUS))],
            &[
                ANYWHERE,
                argument(2, NOT_EXECUTABLE),
                argument(3, Test::Long(PRIVATE_ANONYMOUS_NORESERVE)),
            ],
        ],
        reason: "the allocator takes memory",
    },
    Rule { call: libc::SYS_munmap, allowed: &[], reason: "the allocator gives memory back" },
    Rule {
        call: libc::SYS_mprotect,
        allowed: &[&[argument(2, NOT_EXECUTABLE)]],
        reason: "the allocator changes what it reserved",
    },
    Rule {
        call: libc::SYS_mremap,
        allowed: &[&[argument(3, Test::Long(bits(libc::MREMAP_MAYMOVE)))]],
        reason: "the allocator grows a large block",
    },
    Rule {
        call: libc::SYS_madvise,
        allowed: &[
            &[argument(2, Test::Int(libc::MADV_DONTNEED))],
            &[argument(2, Test::Int(libc::MADV_FREE))],
        ],
        reason: "the allocator gives pages back",
    },
    Rule { call: libc::SYS_brk, allowed: &[], reason: "the allocator moves the heap's end" },
    Rule {
        call: libc::SYS_futex,
        allowed: &[
            &[argument(1, Test::Int(libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG))],
            &[argument(1, Test::Int(libc::FUTEX_WAIT_BITSET | libc::FUTEX_PRIVATE_FLAG))],
            &[argument(1, Test::Int(libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG))],
        ],
        reason: "locks of the standard library, never contended",
    },
    Rule {
        call: libc::SYS_clock_gettime,
        // A negative clock is the CPU time of another process.
        allowed: &[
            &[argument(0, Test::Int(libc::CLOCK_REALTIME))],
            &[argument(0, Test::Int(libc::CLOCK_MONOTONIC))],
            &[argument(0, Test::Int(libc::CLOCK_BOOTTIME))],
        ],
        reason: "deadlines and time.now_ns(), where the vDSO cannot be used",
    },
    Rule {
        call: libc::SYS_getrandom,
        allowed: &[],
        reason: "the keys of hash maps, rand.intn and uuid.rfc4122",
    },
    Rule {
        call: libc::SYS_rt_sigaction,
        allowed: &[
            &[argument(0, Test::Int(libc::SIGABRT))],
            &[argument(0, Test::Int(libc::SIGSEGV))],
            &[argument(0, Test::Int(libc::SIGBUS))],
        ],
        reason: "abort(), and the handler that reports a stack overflow",
    },
    Rule { call: libc::SYS_rt_sigprocmask, allowed: &[], reason: "abort()" },
    Rule { call: libc::SYS_rt_sigreturn, allowed: &[], reason: "that handler returns" },
    Rule { call: libc::SYS_sigaltstack, allowed: &[], reason: "that handler's stack is removed" },
    Rule {
        call: libc::SYS_tgkill,
        allowed: &[&[
            argument(0, Test::Own(Own::Process)),
            argument(1, Test::Own(Own::Thread)),
            argument(2, Test::Int(libc::SIGABRT)),
        ]],
        reason: "abort() ends the process by a signal to itself",
    },
    Rule { call: libc::SYS_getpid, allowed: &[], reason: "abort()" },
    Rule { call: libc::SYS_gettid, allowed: &[], reason: "abort()" },
    Rule {
        call: libc::SYS_restart_syscall,
        allowed: &[],
        reason: "the kernel's own, after a stop and a continue",
    },
    Rule { call: libc::SYS_exit, allowed: &[], reason: "the end of the only thread" },
    Rule { call: libc::SYS_exit_group, allowed: &[], reason: "the end of the process" },
];

/// The filter as a program for the kernel, for the process with this identity on `architecture`.
///
/// `otherwise` is the action for a call that is not on the list.
pub(super) fn program(
    identity: Identity,
    architecture: TargetArch,
    otherwise: SeccompAction,
) -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules = BTreeMap::new();
    for Rule { call, allowed, .. } in RULES {
        let alternatives: Result<Vec<_>, _> =
            allowed.iter().map(|conditions| rule(conditions, identity)).collect();
        // seccompiler also reads an empty list of alternatives as any arguments.
        rules.insert(*call, alternatives?);
    }
    SeccompFilter::new(rules, otherwise, SeccompAction::Allow, architecture)?.try_into()
}

fn rule(
    conditions: &[Condition],
    identity: Identity,
) -> Result<SeccompRule, seccompiler::BackendError> {
    let conditions: Result<Vec<_>, _> = conditions
        .iter()
        .map(|Condition { argument, test }| {
            let (length, operator, value) = match *test {
                Test::Int(value) => (SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, int(value)),
                Test::Own(own) => {
                    let value = match own {
                        Own::Socket => identity.socket,
                        Own::Process => identity.process,
                        Own::Thread => identity.thread,
                    };
                    (SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, int(value))
                }
                Test::Long(value) => (SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, value),
                Test::Lacks(bits) => (SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(bits), 0),
            };
            SeccompCondition::new(*argument, length, operator, value)
        })
        .collect();
    SeccompRule::new(conditions?)
}

/// An `int` as the kernel finds it in the lower half of an argument.
fn int(value: c_int) -> u64 {
    u64::from(value.cast_unsigned())
}

#[cfg(test)]
#[allow(unsafe_code, reason = "these make system calls that no safe code would")]
mod tests {
    use super::*;

    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, Stdio};
    use std::ptr;

    use nix::unistd::{getpid, gettid};
    use seccompiler::apply_filter;

    /// Names the case that a child process of this test runs.
    const CASE: &str = "FILTER_CASE";

    /// The exit code of a process that survived its call.
    const LIVED: i32 = 42;

    const PAGE: u64 = 4096;

    /// The objects that the arguments of the cases refer to.
    struct Surroundings {
        identity: Identity,
        other_socket: RawFd,
        /// Two pages that may be unmapped and remapped.
        pages: u64,
        /// Written to by the calls that take it; larger than any of them writes.
        buffer: u64,
    }

    type Case = (&'static str, libc::c_long, [u64; 6], bool);

    /// Calls by name, with their arguments, and whether they may be made.
    fn cases(around: &Surroundings) -> Vec<Case> {
        let Surroundings { identity, other_socket, pages, buffer } = *around;
        let fd = |fd: RawFd| int(fd);
        let own = (int(identity.process), int(identity.thread));
        let rw = bits(libc::PROT_READ | libc::PROT_WRITE);
        let rwx = rw | bits(libc::PROT_EXEC);
        let map = |protection: u64, flags: c_int| [0, PAGE, protection, bits(flags), u64::MAX, 0];
        let anonymous = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let abort = int(libc::SIGABRT);
        let high = 1_u64 << 32;
        vec![
            ("read its socket", libc::SYS_read, [fd(identity.socket), buffer, 1, 0, 0, 0], true),
            ("read another", libc::SYS_read, [fd(other_socket), buffer, 1, 0, 0, 0], false),
            ("write its socket", libc::SYS_write, [fd(identity.socket), buffer, 1, 0, 0, 0], true),
            ("write stderr", libc::SYS_write, [2, buffer, 0, 0, 0, 0], true),
            ("write stdout", libc::SYS_write, [1, buffer, 0, 0, 0, 0], false),
            ("write another", libc::SYS_write, [fd(other_socket), buffer, 1, 0, 0, 0], false),
            ("map", libc::SYS_mmap, map(rw, anonymous), true),
            (
                "map, nothing reserved",
                libc::SYS_mmap,
                map(rw, anonymous | libc::MAP_NORESERVE),
                true,
            ),
            ("map executable", libc::SYS_mmap, map(rwx, anonymous), false),
            ("map to grow", libc::SYS_mmap, map(rw, anonymous | libc::MAP_GROWSDOWN), false),
            (
                "map at a place",
                libc::SYS_mmap,
                [1 << 40, PAGE, rw, bits(anonymous), u64::MAX, 0],
                false,
            ),
            ("map fixed", libc::SYS_mmap, map(rw, anonymous | libc::MAP_FIXED), false),
            ("map shared", libc::SYS_mmap, map(rw, libc::MAP_SHARED | libc::MAP_ANONYMOUS), false),
            ("map locked", libc::SYS_mmap, map(rw, anonymous | libc::MAP_LOCKED), false),
            ("map a file", libc::SYS_mmap, map(rw, libc::MAP_PRIVATE), false),
            (
                "map with a flag in the upper half",
                libc::SYS_mmap,
                [0, PAGE, rw, bits(anonymous) | high, u64::MAX, 0],
                false,
            ),
            ("unmap", libc::SYS_munmap, [pages, PAGE, 0, 0, 0, 0], true),
            ("protect", libc::SYS_mprotect, [pages, PAGE, 1, 0, 0, 0], true),
            ("protect to execute", libc::SYS_mprotect, [pages, PAGE, rwx, 0, 0, 0], false),
            (
                "protect downwards",
                libc::SYS_mprotect,
                [pages, PAGE, 1 | bits(libc::PROT_GROWSDOWN), 0, 0, 0],
                false,
            ),
            ("remap", libc::SYS_mremap, [pages, PAGE, 2 * PAGE, 1, 0, 0], true),
            ("remap to a place", libc::SYS_mremap, [pages, PAGE, PAGE, 3, buffer, 0], false),
            ("remap in place", libc::SYS_mremap, [pages, PAGE, PAGE, 0, 0, 0], false),
            ("give pages back", libc::SYS_madvise, [pages, PAGE, 4, 0, 0, 0], true),
            ("give pages back later", libc::SYS_madvise, [pages, PAGE, 8, 0, 0, 0], true),
            (
                "have pages merged",
                libc::SYS_madvise,
                [pages, PAGE, int(libc::MADV_MERGEABLE), 0, 0, 0],
                false,
            ),
            ("have huge pages", libc::SYS_madvise, [pages, PAGE, 14, 0, 0, 0], false),
            ("ask for the heap's end", libc::SYS_brk, [0; 6], true),
            ("wake", libc::SYS_futex, [buffer, 129, 1, 0, 0, 0], true),
            // The value differs, so it does not wait.
            ("wait", libc::SYS_futex, [buffer, 128, 7, 0, 0, 0], true),
            ("wait by bits", libc::SYS_futex, [buffer, 137, 7, 0, 0, u64::from(u32::MAX)], true),
            ("wake other processes", libc::SYS_futex, [buffer, 1, 1, 0, 0, 0], false),
            ("requeue", libc::SYS_futex, [buffer, 128 | 3, 0, 0, buffer, 0], false),
            ("inherit a priority", libc::SYS_futex, [buffer, 128 | 6, 0, 0, 0, 0], false),
            ("real time", libc::SYS_clock_gettime, [0, buffer, 0, 0, 0, 0], true),
            ("monotonic time", libc::SYS_clock_gettime, [1, buffer, 0, 0, 0, 0], true),
            ("time since boot", libc::SYS_clock_gettime, [7, buffer, 0, 0, 0, 0], true),
            ("its processor time", libc::SYS_clock_gettime, [2, buffer, 0, 0, 0, 0], false),
            (
                "others' processor time",
                libc::SYS_clock_gettime,
                [int(-14), buffer, 0, 0, 0, 0],
                false,
            ),
            ("a device's clock", libc::SYS_clock_gettime, [int(-5), buffer, 0, 0, 0, 0], false),
            ("random bytes", libc::SYS_getrandom, [buffer, 16, 0, 0, 0, 0], true),
            ("look at a handler", libc::SYS_rt_sigaction, [abort, 0, 0, 8, 0, 0], true),
            (
                "look at another handler",
                libc::SYS_rt_sigaction,
                [int(libc::SIGTERM), 0, 0, 8, 0, 0],
                false,
            ),
            (
                "handle forbidden calls",
                libc::SYS_rt_sigaction,
                [int(libc::SIGSYS), 0, 0, 8, 0, 0],
                false,
            ),
            ("look at the mask", libc::SYS_rt_sigprocmask, [0, 0, buffer, 8, 0, 0], true),
            ("look at the signals' stack", libc::SYS_sigaltstack, [0, buffer, 0, 0, 0, 0], true),
            (
                "terminate itself by name",
                libc::SYS_tgkill,
                [own.0, own.1, int(libc::SIGTERM), 0, 0, 0],
                false,
            ),
            ("abort another", libc::SYS_tgkill, [1, 1, abort, 0, 0, 0], false),
            ("abort another thread", libc::SYS_tgkill, [own.0, 1, abort, 0, 0, 0], false),
            ("who am I", libc::SYS_getpid, [0; 6], true),
            ("which thread am I", libc::SYS_gettid, [0; 6], true),
            // Nothing was interrupted, so it fails; the call itself is allowed.
            ("go on", libc::SYS_restart_syscall, [0; 6], true),
            ("open", libc::SYS_openat, [int(libc::AT_FDCWD), buffer, 0, 0, 0, 0], false),
            ("a second filter", libc::SYS_seccomp, [1, 0, 0, 0, 0, 0], false),
            ("prctl", libc::SYS_prctl, [int(libc::PR_SET_DUMPABLE), 1, 0, 0, 0, 0], false),
            ("fcntl", libc::SYS_fcntl, [fd(identity.socket), 1, 0, 0, 0, 0], false),
            ("dup", libc::SYS_dup, [fd(identity.socket), 0, 0, 0, 0, 0], false),
            ("send a message", libc::SYS_sendmsg, [fd(identity.socket), buffer, 0, 0, 0, 0], false),
            ("clone", libc::SYS_clone, [0; 6], false),
            ("a socket", libc::SYS_socket, [1, 1, 0, 0, 0, 0], false),
            ("kill", libc::SYS_kill, [own.0, 0, 0, 0, 0, 0], false),
            ("a call of the future", 4000, [0; 6], false),
        ]
    }

    /// Pages and sockets for the cases, valid as long as the process lives.
    fn surroundings() -> (Surroundings, [UnixStream; 2]) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        std::io::Write::write_all(&mut &theirs, b"x").unwrap();
        let length = 4 * usize::try_from(PAGE).unwrap();
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping touches no existing memory.
        let pages = unsafe { libc::mmap(ptr::null_mut(), length, access, flags, -1, 0) };
        assert_ne!(pages, libc::MAP_FAILED);
        let pages = u64::try_from(pages.addr()).unwrap();
        let around = Surroundings {
            identity: Identity {
                socket: ours.as_raw_fd(),
                process: getpid().as_raw(),
                thread: gettid().as_raw(),
            },
            other_socket: theirs.as_raw_fd(),
            pages,
            buffer: pages + 2 * PAGE,
        };
        (around, [ours, theirs])
    }

    fn here() -> TargetArch {
        std::env::consts::ARCH.try_into().unwrap()
    }

    /// Runs in its own process, which the filter may end.
    #[test]
    #[ignore = "run by the test below, once for each case"]
    fn one_call() {
        let name = std::env::var(CASE).unwrap();
        let (around, _sockets) = surroundings();
        let cases = cases(&around);
        let &(_, call, [a, b, c, d, e, f], _) =
            cases.iter().find(|(known, ..)| *known == name).unwrap();
        let program = program(around.identity, here(), SeccompAction::KillProcess).unwrap();
        apply_filter(&program).unwrap();
        // SAFETY: the pointers among the arguments point into pages that are used for nothing else.
        unsafe {
            libc::syscall(call, a, b, c, d, e, f);
            libc::_exit(LIVED);
        }
    }

    fn run(case: &str) -> std::process::ExitStatus {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "sandbox::filter::tests::one_call", "--ignored", "--nocapture"])
            .env(CASE, case)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap()
    }

    #[test]
    fn every_rule_lets_through_what_it_allows_and_ends_the_process_on_all_else() {
        let (around, _sockets) = surroundings();
        let cases = cases(&around);
        for (name, _, _, is_allowed) in &cases {
            let status = run(name);
            let seen = (status.code(), status.signal());
            let expected =
                if *is_allowed { (Some(LIVED), None) } else { (None, Some(libc::SIGSYS)) };
            assert_eq!(seen, expected, "{name}");
        }
        // Every rule has a case; calls without one end the process by their nature.
        let by_themselves =
            [libc::SYS_exit, libc::SYS_exit_group, libc::SYS_rt_sigreturn, libc::SYS_tgkill];
        for Rule { call, allowed, reason } in RULES {
            assert!(!reason.is_empty());
            let tried =
                |may| cases.iter().any(|(_, tried, _, allowed)| tried == call && *allowed == may);
            assert!(tried(true) || by_themselves.contains(call), "{call} was never allowed");
            assert!(allowed.is_empty() || tried(false), "{call} was never forbidden");
        }
    }

    #[test]
    fn a_process_under_the_filter_may_abort_and_exit() {
        for (name, expected) in [("abort", (None, Some(libc::SIGABRT))), ("exit", (Some(7), None))]
        {
            let status = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "sandbox::filter::tests::one_end", "--ignored", "--nocapture"])
                .env(CASE, name)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .unwrap();
            assert_eq!((status.code(), status.signal()), expected, "{name}");
        }
    }

    #[test]
    #[ignore = "run by the test above, once for each end"]
    fn one_end() {
        let (around, _sockets) = surroundings();
        let program = program(around.identity, here(), SeccompAction::KillProcess).unwrap();
        let end = std::env::var(CASE).unwrap();
        apply_filter(&program).unwrap();
        match end.as_str() {
            "abort" => std::process::abort(),
            _ => std::process::exit(7),
        }
    }

    #[test]
    fn the_filter_is_a_program_on_every_architecture() {
        let identity = Identity { socket: 3, process: 1, thread: 1 };
        for architecture in [TargetArch::x86_64, TargetArch::aarch64] {
            let program = program(identity, architecture, SeccompAction::KillProcess).unwrap();
            // The kernel takes no more than 4096 instructions (`seccomp(2)`).
            assert!((1..4096).contains(&program.len()), "{architecture:?}: {}", program.len());
        }
    }

    #[test]
    fn no_call_has_two_rules() {
        let mut calls: Vec<_> = RULES.iter().map(|rule| rule.call).collect();
        calls.sort_unstable();
        calls.dedup();
        assert_eq!(calls.len(), RULES.len());
    }
}
