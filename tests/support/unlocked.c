/*
 * unlocked.c - the mover without its lock: linked into a testapp by --wrap, so that a test can show that the lock is
 * what keeps two threads from a slot, and that the thread sanitizer would tell if it did not.
 */
#include <stdbool.h>

#include "http/slots.h"

bool __wrap_owner_try(struct owner *owner);
void __wrap_owner_release(struct owner *owner);

bool __wrap_owner_try(struct owner *owner)
{
	(void)owner;
	return true;
}

void __wrap_owner_release(struct owner *owner)
{
	(void)owner;
}
