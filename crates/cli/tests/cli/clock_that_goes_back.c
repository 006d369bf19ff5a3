/* Preloaded into a process: each look at its wall clock finds it a minute further back. Its other clocks are the machine's. */
#define _GNU_SOURCE
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static atomic_long looks;

int clock_gettime(clockid_t clock, struct timespec *now)
{
	int failed = (int)syscall(SYS_clock_gettime, clock, now);
	if (!failed && clock == CLOCK_REALTIME)
		now->tv_sec -= 60 * atomic_fetch_add(&looks, 1);
	return failed;
}
