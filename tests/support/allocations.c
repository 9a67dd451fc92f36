/* allocations.c - loaded before a program's libraries: counts what it allocates and tells at its end. */
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* glibc's own, under the names that nobody takes the place of. */
extern void *own_malloc(size_t size) __asm__("__libc_malloc");
extern void *own_calloc(size_t nmemb, size_t size) __asm__("__libc_calloc");
extern void *own_realloc(void *ptr, size_t size) __asm__("__libc_realloc");
extern void *own_memalign(size_t alignment, size_t size) __asm__("__libc_memalign");

static _Atomic unsigned long allocations;
static int out = -1;

/* Now: at its end the program may be somebody who cannot write there. */
__attribute__((constructor)) static void open_out(void)
{
	const char *path = getenv("ALLOCATIONS");

	if (path)
		out = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
}

__attribute__((destructor)) static void tell(void)
{
	if (out >= 0)
		dprintf(out, "allocations: %lu\n", atomic_load(&allocations));
}

void *malloc(size_t size)
{
	atomic_fetch_add(&allocations, 1);
	return own_malloc(size);
}

void *calloc(size_t nmemb, size_t size)
{
	atomic_fetch_add(&allocations, 1);
	return own_calloc(nmemb, size);
}

void *realloc(void *ptr, size_t size)
{
	atomic_fetch_add(&allocations, 1);
	return own_realloc(ptr, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	atomic_fetch_add(&allocations, 1);
	return own_memalign(alignment, size);
}
