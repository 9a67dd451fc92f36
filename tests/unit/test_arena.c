/* test_arena.c - base/arena. */
#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"

enum { FIRST_SIZE = 256 };

struct fixture {
	alignas(max_align_t) char first[FIRST_SIZE];
	struct arena arena;
};

static int setup(void **state)
{
	static struct fixture fixture;

	arena_init(&fixture.arena, fixture.first, sizeof(fixture.first));
	*state = &fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	arena_reset(&f->arena);
	return 0;
}

static int in_first(const struct fixture *f, const char *at)
{
	return at >= f->first && at < f->first + FIRST_SIZE;
}

static void arena_takes_the_first_block_to_its_last_byte(void **state)
{
	struct fixture *f = *state;
	char *all = arena_alloc(&f->arena, FIRST_SIZE);

	assert_ptr_equal(all, f->first);
	memset(all, 1, FIRST_SIZE);
	assert_false(in_first(f, arena_alloc(&f->arena, 1)));
}

static void arena_aligns_whatever_was_asked_before(void **state)
{
	struct fixture *f = *state;

	for (size_t size = 0; size < 200; size++) {
		char *at = arena_alloc(&f->arena, size);

		assert_non_null(at);
		assert_int_equal((uintptr_t)at % alignof(max_align_t), 0);
		memset(at, 1, size);
	}
}

static void arena_aligns_in_an_unaligned_first_block(void **state)
{
	struct fixture *f = *state;
	char *at;

	arena_init(&f->arena, f->first + 1, 40);
	at = arena_alloc(&f->arena, 8);
	assert_int_equal((uintptr_t)at % alignof(max_align_t), 0);
	assert_true(in_first(f, at));
	/* 40 bytes from an odd address, 15 of them skipped, 8 taken: no other 16-byte boundary with 16 behind it. */
	assert_false(in_first(f, arena_alloc(&f->arena, 16)));
}

static void arena_gives_each_allocation_its_own_bytes(void **state)
{
	enum { COUNT = 300 };
	struct fixture *f = *state;
	unsigned char *got[COUNT];

	for (size_t i = 0; i < COUNT; i++) {
		got[i] = arena_alloc(&f->arena, i + 1);
		memset(got[i], (int)(i % 251), i + 1);
	}
	for (size_t i = 0; i < COUNT; i++) {
		for (size_t j = 0; j <= i; j++)
			assert_int_equal(got[i][j], i % 251);
	}
}

static void arena_allocates_more_than_a_block(void **state)
{
	struct fixture *f = *state;
	char *big = arena_alloc(&f->arena, 1000000);

	assert_non_null(big);
	memset(big, 1, 1000000);
	assert_non_null(arena_alloc(&f->arena, 1));
}

static void arena_refuses_what_no_memory_holds(void **state)
{
	struct fixture *f = *state;

	assert_null(arena_alloc(&f->arena, SIZE_MAX));
	/* and is none the worse for it */
	assert_true(in_first(f, arena_alloc(&f->arena, 16)));
}

static void arena_is_as_new_after_a_reset(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 100; i++)
		assert_non_null(arena_alloc(&f->arena, 1000));
	arena_reset(&f->arena);
	assert_null(f->arena.blocks);
	assert_ptr_equal(arena_alloc(&f->arena, FIRST_SIZE), f->first);
}

static void arena_copies_end_in_a_nul(void **state)
{
	struct fixture *f = *state;

	assert_string_equal(arena_copy(&f->arena, "abcdef", 3), "abc");
	assert_string_equal(arena_copy(&f->arena, NULL, 0), "");
	assert_memory_equal(arena_copy(&f->arena, "a\0b", 3), "a\0b", 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(arena_takes_the_first_block_to_its_last_byte, setup, teardown),
		cmocka_unit_test_setup_teardown(arena_aligns_whatever_was_asked_before, setup, teardown),
		cmocka_unit_test_setup_teardown(arena_aligns_in_an_unaligned_first_block, setup, teardown),
		cmocka_unit_test_setup_teardown(arena_gives_each_allocation_its_own_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(arena_allocates_more_than_a_block, setup, teardown),
		cmocka_unit_test_setup_teardown(arena_refuses_what_no_memory_holds, setup, teardown),
		cmocka_unit_test_setup_teardown(arena_is_as_new_after_a_reset, setup, teardown),
		cmocka_unit_test_setup_teardown(arena_copies_end_in_a_nul, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
