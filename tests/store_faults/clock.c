/* A wall clock that is wrong by CLOCK_OFFSET_SECONDS; clocks that only measure are left alone. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

#define EXPORT __attribute__((visibility("default")))

static long offset;
static int (*real_clock_gettime)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void)
{
    const char *said = getenv("CLOCK_OFFSET_SECONDS");
    offset = said ? strtol(said, NULL, 10) : 0;
    real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
}

EXPORT int clock_gettime(clockid_t id, struct timespec *at)
{
    int ended = real_clock_gettime(id, at);
    if (ended == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
        at->tv_sec += offset;
    return ended;
}

EXPORT int gettimeofday(struct timeval *restrict at, void *restrict zone)
{
    struct timespec now;
    (void)zone;
    int ended = clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return ended;
}

EXPORT time_t time(time_t *at)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at)
        *at = now.tv_sec;
    return now.tv_sec;
}
