//! The attacks of a worker in which an attacker runs arbitrary code: system calls that no honest
//! worker makes.
//!
//! Every attack is one or a few raw system calls, because a library might try something else when
//! the first is refused. It returns the kernel's error for the first refused call; under the
//! seccomp filter no call returns.
#![allow(unsafe_code, reason = "it attacks the kernel, which safe code cannot do")]

use std::ffi::c_void;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::ptr;

use nix::errno::Errno;
use nix::libc::{self, c_int, c_long};

/// The starting point of an attack.
pub(crate) struct Surroundings<'a> {
    /// The supervisor's process.
    pub(crate) supervisor: u32,
    /// The socket to it.
    pub(crate) socket: &'a File,
}

type Attack = fn(&Surroundings<'_>) -> Result<(), Errno>;

/// The attack with this name.
pub(crate) fn by_name(name: &str) -> Option<Attack> {
    ATTACKS.iter().find(|(known, _)| *known == name).map(|(_, attack)| *attack)
}

const ATTACKS: &[(&str, Attack)] = &[
    ("open-file", |_| open(c"/etc/passwd", libc::O_RDONLY)),
    ("list-root", |_| open(c"/", libc::O_RDONLY | libc::O_DIRECTORY)),
    ("open-own-memory", |_| open(c"/proc/self/mem", libc::O_RDWR)),
    ("open-supervisors-memory", |around| {
        let path = std::ffi::CString::new(format!("/proc/{}/mem", around.supervisor)).unwrap();
        open(&path, libc::O_RDWR)
    }),
    ("stat-file", |_| {
        let mut status = [0_u8; 1024];
        call(libc::SYS_newfstatat, [at_cwd(), text(c"/etc/passwd"), buffer(&mut status), 0, 0, 0])
    }),
    ("chmod-file", |_| call(libc::SYS_fchmodat, [at_cwd(), text(c"/tmp"), 0o1777, 0, 0, 0])),
    ("make-file", |_| open(c"/tmp/hostile-worker-was-here", libc::O_CREAT | libc::O_RDWR)),
    ("tcp-connect", |_| {
        let address = inet(1);
        let socket = socket(libc::AF_INET, libc::SOCK_STREAM)?;
        call(libc::SYS_connect, [socket, bytes(&address), address.len() as u64, 0, 0, 0])
    }),
    ("udp-send", |_| {
        let address = inet(9);
        let socket = socket(libc::AF_INET, libc::SOCK_DGRAM)?;
        let length = address.len() as u64;
        call(libc::SYS_sendto, [socket, bytes(b"x"), 1, 0, bytes(&address), length])
    }),
    ("unix-abstract", |_| unix_connect(b"\0/org/freedesktop/systemd1/private")),
    ("unix-path", |_| unix_connect(b"/run/systemd/private\0")),
    ("kill-supervisor", |around| {
        call(libc::SYS_kill, [around.supervisor.into(), int(libc::SIGURG), 0, 0, 0, 0])
    }),
    // Any process, another tenant's worker among them.
    ("kill-anybody", |_| {
        let own = std::process::id();
        let mut refusal = Errno::ESRCH;
        for pid in (2..65_536).filter(|pid| *pid != own) {
            match call(libc::SYS_kill, [pid.into(), int(libc::SIGURG), 0, 0, 0, 0]) {
                Ok(()) => return Ok(()),
                Err(Errno::ESRCH) => {}
                Err(error) => refusal = error,
            }
        }
        Err(refusal)
    }),
    ("pidfd-kill-supervisor", |around| {
        let pidfd = value(libc::SYS_pidfd_open, [around.supervisor.into(), 0, 0, 0, 0, 0])?;
        call(libc::SYS_pidfd_send_signal, [pidfd, int(libc::SIGURG), 0, 0, 0, 0])
    }),
    ("ptrace", |around| {
        let seize = u64::from(libc::PTRACE_SEIZE);
        call(libc::SYS_ptrace, [seize, around.supervisor.into(), 0, 0, 0, 0])
    }),
    ("read-supervisors-memory", |around| {
        let mut byte = [0_u8];
        let local = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
        // The address does not matter for the permission.
        let remote = libc::iovec { iov_base: ptr::null_mut(), iov_len: 1 };
        let (local, remote) = (&raw const local as u64, &raw const remote as u64);
        let arguments = [around.supervisor.into(), local, 1, remote, 1, 0];
        call(libc::SYS_process_vm_readv, arguments)
    }),
    ("kcmp", |around| {
        let own = u64::from(std::process::id());
        call(libc::SYS_kcmp, [own, around.supervisor.into(), 1, 0, 0, 0])
    }),
    ("limit-supervisor", |around| {
        let mut limit = [0_u64; 2];
        let core = u64::from(libc::RLIMIT_CORE);
        call(libc::SYS_prlimit64, [around.supervisor.into(), core, 0, buffer64(&mut limit), 0, 0])
    }),
    ("pin-supervisor", |around| {
        let processors = u64::MAX.to_ne_bytes();
        call(
            libc::SYS_sched_setaffinity,
            [around.supervisor.into(), 8, bytes(&processors), 0, 0, 0],
        )
    }),
    ("slow-supervisor", |around| {
        call(libc::SYS_setpriority, [0, around.supervisor.into(), 0, 0, 0, 0])
    }),
    ("fork", |_| clone(int(libc::SIGCHLD))),
    // A thread's flags without a separate stack: it runs on ours.
    ("vfork", |_| clone(bits(libc::CLONE_VFORK | libc::CLONE_VM) | int(libc::SIGCHLD))),
    ("clone3", |_| {
        let mut arguments = [0_u64; 8];
        arguments[4] = int(libc::SIGCHLD);
        match value(libc::SYS_clone3, [bytes64(&arguments), 64, 0, 0, 0, 0])? {
            0 => end(),
            _ => Ok(()),
        }
    }),
    ("exec", |_| {
        let arguments = [c"/bin/true".as_ptr(), ptr::null()];
        let arguments = arguments.as_ptr() as u64;
        call(libc::SYS_execve, [text(c"/bin/true"), arguments, 0, 0, 0, 0])
    }),
    ("exec-own-binary", |_| {
        let arguments = [c"worker".as_ptr(), ptr::null()];
        let arguments = arguments.as_ptr() as u64;
        call(libc::SYS_execve, [text(c"/proc/self/exe"), arguments, 0, 0, 0, 0])
    }),
    ("exec-memory", |_| {
        let file = value(libc::SYS_memfd_create, [text(c"x"), 0, 0, 0, 0, 0])?;
        call(libc::SYS_write, [file, bytes(b"#!"), 2, 0, 0, 0])?;
        call(libc::SYS_execveat, [file, text(c""), 0, 0, int(libc::AT_EMPTY_PATH), 0])
    }),
    ("map-executable", |_| map(4096, READ_WRITE | libc::PROT_EXEC, ANONYMOUS).map(drop)),
    ("make-executable", |_| {
        let page = map(4096, READ_WRITE, ANONYMOUS)?;
        let access = bits(libc::PROT_READ | libc::PROT_EXEC);
        call(libc::SYS_mprotect, [page, 4096, access, 0, 0, 0])
    }),
    ("map-2-gib", |_| map(2 << 30, READ_WRITE, ANONYMOUS).map(drop)),
    ("map-growing", |_| map(4096, READ_WRITE, ANONYMOUS | libc::MAP_GROWSDOWN).map(drop)),
    ("map-shared", |_| map(4096, READ_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS).map(drop)),
    ("page-tables", |_| {
        // A page that is only read costs only its page table: 4 KiB for every 2 MiB that are
        // touched once.
        const STEP: usize = 2 << 20;
        for _ in 0..1024 {
            let start = map(1 << 30, libc::PROT_READ, ANONYMOUS | libc::MAP_NORESERVE)?;
            for at in (0..1_usize << 30).step_by(STEP) {
                let place = start as *const u8;
                // SAFETY: the address lies within the readable mapping made above.
                std::hint::black_box(unsafe { place.add(at).read_volatile() });
            }
        }
        Ok(())
    }),
    ("page-tables-apart", |_| {
        // Pages far apart, each with its own page tables, which no limit of a process counts.
        for at in 1..64_u64 {
            let flags = bits(ANONYMOUS | libc::MAP_NORESERVE);
            let place = (at << 30) - 4096;
            let arguments = [place, 8192, bits(READ_WRITE), flags, u64::MAX, 0];
            value(libc::SYS_mmap, arguments)?;
        }
        Ok(())
    }),
    ("io-uring", |_| {
        let mut parameters = [0_u8; 256];
        call(libc::SYS_io_uring_setup, [1, buffer(&mut parameters), 0, 0, 0, 0])
    }),
    ("userfaultfd", |_| call(libc::SYS_userfaultfd, [1, 0, 0, 0, 0, 0])),
    ("bpf", |_| {
        let mut attributes = [0_u8; 128];
        call(libc::SYS_bpf, [0, buffer(&mut attributes), 128, 0, 0, 0])
    }),
    ("keyring", |_| {
        let (kind, name) = (text(c"user"), text(c"hostile"));
        // Its own process's keyring.
        call(libc::SYS_add_key, [kind, name, bytes(b"x"), 1, int(-2), 0])
    }),
    ("perf", |_| {
        let mut attributes = [0_u8; 128];
        let own = [buffer(&mut attributes), 0, int(-1), int(-1), 0, 0];
        call(libc::SYS_perf_event_open, own)
    }),
    #[cfg(target_arch = "x86_64")]
    ("int-0x80", |_| {
        // `getpid` of the 32-bit interface.
        let mut result: i64 = 20;
        // SAFETY: the kernel changes only the result register, which is declared, and no memory.
        unsafe { std::arch::asm!("int 0x80", inout("rax") result, options(nostack)) };
        Errno::result(c_long::from(result >= 0) - 1).map(drop)
    }),
    #[cfg(target_arch = "x86_64")]
    ("x32", |_| call(0x4000_0000 + libc::SYS_getpid, [0; 6])),
    ("send-descriptor", |around| {
        let descriptor: c_int = around.socket.as_raw_fd();
        let mut byte = *b"x";
        let part = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 0 };
        // A header of SOL_SOCKET and SCM_RIGHTS with one descriptor.
        let mut control = [0_u64; 3];
        control[0] = 20;
        control[1] = u64::from(libc::SCM_RIGHTS.cast_unsigned()) << 32
            | u64::from(libc::SOL_SOCKET.cast_unsigned());
        control[2] = u64::from(descriptor.cast_unsigned());
        // SAFETY: all zero is a valid header: no address, no parts and no control data.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_iov = (&raw const part).cast_mut();
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = 24;
        let socket = int(descriptor);
        call(libc::SYS_sendmsg, [socket, &raw const message as u64, 0, 0, 0, 0])
    }),
    ("signal-on-input", |around| {
        let socket = int(around.socket.as_raw_fd());
        call(libc::SYS_fcntl, [socket, int(libc::F_SETOWN), around.supervisor.into(), 0, 0, 0])
    }),
    ("dup-over-socket", |around| {
        call(libc::SYS_dup3, [2, int(around.socket.as_raw_fd()), 0, 0, 0, 0])
    }),
    ("shutdown-socket", |around| {
        call(libc::SYS_shutdown, [int(around.socket.as_raw_fd()), 0, 0, 0, 0, 0])
    }),
    ("second-filter", |_| {
        let allow = [0x7fff_0000_0000_0006_u64];
        let program = [1_u64, bytes64(&allow)];
        call(libc::SYS_seccomp, [1, 0, bytes64(&program), 0, 0, 0])
    }),
    ("dumpable-again", |_| prctl(libc::PR_SET_DUMPABLE, 1)),
    ("outlive-supervisor", |_| prctl(libc::PR_SET_PDEATHSIG, 0)),
    ("shared-memory", |_| call(libc::SYS_shmget, [0, 4096, 0o1600, 0, 0, 0])),
    ("unshare", |_| call(libc::SYS_unshare, [bits(libc::CLONE_NEWUSER), 0, 0, 0, 0, 0])),
    ("mount", |_| {
        let (kind, place) = (text(c"tmpfs"), text(c"/"));
        call(libc::SYS_mount, [kind, place, kind, 0, 0, 0])
    }),
    ("change-user", |_| call(libc::SYS_setresuid, [0, 0, 0, 0, 0, 0])),
    ("raise-limits", |_| {
        let limit = [1024_u64; 2];
        let files = u64::from(libc::RLIMIT_NOFILE);
        call(libc::SYS_prlimit64, [0, files, bytes64(&limit), 0, 0, 0])
    }),
];

const READ_WRITE: c_int = libc::PROT_READ | libc::PROT_WRITE;
const ANONYMOUS: c_int = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;

/// Makes a system call; returns its result where the kernel did not refuse it.
fn value(number: c_long, [a, b, c, d, e, f]: [u64; 6]) -> Result<u64, Errno> {
    // SAFETY: pointers among the arguments outlive the call: they point to locals of the caller or
    // to statics. A call that succeeds unexpectedly may do anything to this process, which is the
    // purpose of this program.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    Errno::result(result).map(c_long::cast_unsigned)
}

fn call(number: c_long, arguments: [u64; 6]) -> Result<(), Errno> {
    value(number, arguments).map(drop)
}

fn open(path: &std::ffi::CStr, flags: c_int) -> Result<(), Errno> {
    call(libc::SYS_openat, [at_cwd(), text(path), int(flags), 0o600, 0, 0])
}

fn socket(family: c_int, kind: c_int) -> Result<u64, Errno> {
    value(libc::SYS_socket, [int(family), int(kind), 0, 0, 0, 0])
}

fn unix_connect(path: &[u8]) -> Result<(), Errno> {
    let address = [&1_u16.to_ne_bytes()[..], path].concat();
    let socket = socket(libc::AF_UNIX, libc::SOCK_STREAM)?;
    call(libc::SYS_connect, [socket, bytes(&address), address.len() as u64, 0, 0, 0])
}

/// The socket address of a port of this host.
fn inet(port: u16) -> [u8; 16] {
    let mut address = [0; 16];
    address[..2].copy_from_slice(&2_u16.to_ne_bytes());
    address[2..4].copy_from_slice(&port.to_be_bytes());
    address[4..8].copy_from_slice(&[127, 0, 0, 1]);
    address
}

fn clone(flags: u64) -> Result<(), Errno> {
    match value(libc::SYS_clone, [flags, 0, 0, 0, 0, 0])? {
        0 => end(),
        _ => Ok(()),
    }
}

/// Ends the child process, which should not exist.
fn end() -> ! {
    // SAFETY: `_exit` ends the process and has no preconditions.
    unsafe { libc::_exit(0) }
}

fn map(length: u64, access: c_int, flags: c_int) -> Result<u64, Errno> {
    value(libc::SYS_mmap, [0, length, bits(access), bits(flags), u64::MAX, 0])
}

fn prctl(option: c_int, value: u64) -> Result<(), Errno> {
    call(libc::SYS_prctl, [int(option), value, 0, 0, 0, 0])
}

fn at_cwd() -> u64 {
    int(libc::AT_FDCWD)
}

fn int(value: c_int) -> u64 {
    i64::from(value).cast_unsigned()
}

fn bits(flags: c_int) -> u64 {
    u64::from(flags.cast_unsigned())
}

fn text(text: &std::ffi::CStr) -> u64 {
    text.as_ptr().cast::<c_void>() as u64
}

fn bytes(bytes: &[u8]) -> u64 {
    bytes.as_ptr() as u64
}

fn bytes64(words: &[u64]) -> u64 {
    words.as_ptr() as u64
}

fn buffer(bytes: &mut [u8]) -> u64 {
    bytes.as_mut_ptr() as u64
}

fn buffer64(words: &mut [u64]) -> u64 {
    words.as_mut_ptr() as u64
}
