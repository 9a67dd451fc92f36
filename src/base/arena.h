/*
 * arena.h - memory of one request, freed in one step.
 *
 * The first bytes come from a block that the owner embeds, so that a plain request allocates nothing; what does not
 * fit comes from the heap, block by block, and goes back at arena_reset().
 *
 * Thread: the owner's.
 */
#ifndef RMSD_BASE_ARENA_H
#define RMSD_BASE_ARENA_H

#include <stddef.h>

struct arena_block; /* a heap block; the newest first */

struct arena {
	char *next; /* the free bytes of the block in use: next to end */
	char *end;
	char *first; /* the owner's block: borrowed, outlives the arena */
	size_t first_size;
	struct arena_block *blocks;
};

void arena_init(struct arena *arena, void *first, size_t first_size);
/* Frees every allocation; the arena is as new. */
void arena_reset(struct arena *arena);
/* size bytes aligned for any type, lent until the reset; NULL when out of memory. */
void *arena_alloc(struct arena *arena, size_t size);
/* A NUL-terminated copy of len bytes; NULL when out of memory. */
char *arena_copy(struct arena *arena, const char *bytes, size_t len);

#endif
