// Starts a program with what a shell, a container or a small device may hand down to it:
// `hand_down <what>... -- <program> <argument>...`. Exits with 120 where the host does not allow it.

#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void need(int failed, const char *what) {
  if (failed) {
    perror(what);
    exit(120);
  }
}

static void limit(int resource, const char *value, const char *what) {
  struct rlimit both = {strtoul(value, NULL, 10), strtoul(value, NULL, 10)};
  need(setrlimit(resource, &both), what);
}

static void refuse(unsigned call, unsigned error) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof code / sizeof *code, code};
  need(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
  need(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), "seccomp");
}

static void hide_proc(void) {
  need(unshare(CLONE_NEWNS), "unshare");
  need(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), "mount");
  need(umount2("/proc", MNT_DETACH), "umount2");
}

static void hand_down(const char *what) {
  sigset_t all;
  if (!strcmp(what, "blocked-signals")) {
    sigfillset(&all);
    need(sigprocmask(SIG_BLOCK, &all, NULL), what);
  } else if (!strcmp(what, "ignored-signals")) {
    for (int number = 1; number < 32; number++) signal(number, SIG_IGN);
  } else if (!strcmp(what, "openat2=ENOSYS")) {
    refuse(SYS_openat2, ENOSYS);
  } else if (!strcmp(what, "openat2=EPERM")) {
    refuse(SYS_openat2, EPERM);
  } else if (!strcmp(what, "inotify_init1=EMFILE")) {
    refuse(SYS_inotify_init1, EMFILE);
  } else if (!strcmp(what, "pidfd_open=ENOSYS")) {
    refuse(SYS_pidfd_open, ENOSYS);
  } else if (!strcmp(what, "no-proc")) {
    hide_proc();
  } else if (!strcmp(what, "closed-input-and-output")) {
    close(0);
    close(1);
  } else if (!strcmp(what, "umask")) {
    umask(0777);
  } else if (!strncmp(what, "open-files=", 11)) {
    limit(RLIMIT_NOFILE, what + 11, what);
  } else if (!strncmp(what, "file-size=", 10)) {
    limit(RLIMIT_FSIZE, what + 10, what);
  } else {
    fprintf(stderr, "not known: %s\n", what);
    exit(121);
  }
}

int main(int count, char **arguments) {
  int at = 1;
  for (; at < count && strcmp(arguments[at], "--"); at++) hand_down(arguments[at]);
  execv(arguments[at + 1], arguments + at + 1);
  perror(arguments[at + 1]);
  return 122;
}
