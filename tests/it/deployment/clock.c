// Preloaded, it shows a program a clock that runs before 1970: from the start, or from when the file
// named by CLOCK_FILE is there.

#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now) {
  int result = (int)syscall(SYS_clock_gettime, clock, now);
  const char *file = getenv("CLOCK_FILE");
  if (result == 0 && clock == CLOCK_REALTIME && (file == NULL || access(file, F_OK) == 0))
    now->tv_sec -= 3600000000L;
  return result;
}
