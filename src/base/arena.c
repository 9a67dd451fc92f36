/* arena.c - bump allocation from an embedded block, then from heap blocks. */
#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct arena_block {
	struct arena_block *older;
	alignas(max_align_t) char bytes[];
};

enum { BLOCK_SIZE = 4096 };

void arena_init(struct arena *arena, void *first, size_t first_size)
{
	*arena = (struct arena){ .first = first, .first_size = first_size };
	arena_reset(arena);
}

void arena_reset(struct arena *arena)
{
	while (arena->blocks) {
		struct arena_block *block = arena->blocks;

		arena->blocks = block->older;
		free(block);
	}
	arena->next = arena->first;
	arena->end = arena->first + arena->first_size;
}

static char *grow(struct arena *arena, size_t size)
{
	size_t room = size > BLOCK_SIZE ? size : BLOCK_SIZE;
	struct arena_block *block;

	if (room > SIZE_MAX - sizeof(*block))
		return NULL;
	block = malloc(sizeof(*block) + room);
	if (!block)
		return NULL;
	block->older = arena->blocks;
	arena->blocks = block;
	arena->next = block->bytes;
	arena->end = block->bytes + room;
	return block->bytes;
}

void *arena_alloc(struct arena *arena, size_t size)
{
	const uintptr_t mask = alignof(max_align_t) - 1;
	size_t skip = (size_t)(-(uintptr_t)arena->next & mask);
	char *at;

	if (size <= (size_t)(arena->end - arena->next) && skip <= (size_t)(arena->end - arena->next) - size)
		at = arena->next + skip;
	else
		at = grow(arena, size);
	if (at)
		arena->next = at + size;
	return at;
}

char *arena_copy(struct arena *arena, const char *bytes, size_t len)
{
	char *copy = arena_alloc(arena, len + 1);

	if (copy) {
		if (len)
			memcpy(copy, bytes, len);
		copy[len] = '\0';
	}
	return copy;
}
