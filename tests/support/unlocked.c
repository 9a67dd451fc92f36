/*
 * unlocked.c - the mover without its lock: linked into a testapp by --wrap, so that a test can show that the lock is
 * what keeps two threads from a slot, and that the thread sanitizer would tell if it did not.
 */
#include <stdbool.h>

#include "http/slots.h"

/* The names that --wrap asks for. */
bool try(struct owner *owner) __asm__("__wrap_owner_try");
void release(struct owner *owner) __asm__("__wrap_owner_release");

bool try(struct owner *owner)
{
	(void)owner;
	return true;
}

void release(struct owner *owner)
{
	(void)owner;
}
