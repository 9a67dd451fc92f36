/* test_list.c - base/list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/list.h"

struct item {
	int value;
	struct list_node node;
};

struct fixture {
	struct list list, other;
	struct item items[4];
};

static int setup(void **state)
{
	static struct fixture fixture;

	list_init(&fixture.list);
	list_init(&fixture.other);
	for (int i = 0; i < 4; i++)
		fixture.items[i] = (struct item){ .value = i };
	*state = &fixture;
	return 0;
}

static void push(struct list *list, struct item *items, int from, int to)
{
	for (int i = from; i < to; i++)
		list_push(list, &items[i].node);
}

/* Both directions, so that a broken prev is seen too. */
static void assert_values(const struct list *list, const int *values, int count)
{
	const struct list_node *node = list->head.next;

	for (int i = 0; i < count; i++, node = node->next)
		assert_int_equal(list_entry(node, const struct item, node)->value, values[i]);
	assert_ptr_equal(node, &list->head);
	for (int i = count; i-- > 0;) {
		node = node->prev;
		assert_int_equal(list_entry(node, const struct item, node)->value, values[i]);
	}
	assert_ptr_equal(node->prev, &list->head);
}

static void list_pops_in_the_order_of_pushes(void **state)
{
	struct fixture *f = *state;

	assert_true(list_empty(&f->list));
	push(&f->list, f->items, 0, 3);
	assert_false(list_empty(&f->list));
	for (int i = 0; i < 3; i++)
		assert_ptr_equal(list_pop(&f->list), &f->items[i].node);
	assert_true(list_empty(&f->list));
	assert_null(list_pop(&f->list));
}

static void list_inserts_in_front(void **state)
{
	struct fixture *f = *state;

	list_insert(&f->list.head, &f->items[3].node);
	list_insert(&f->items[3].node, &f->items[0].node);
	list_insert(&f->items[3].node, &f->items[2].node);
	list_insert(&f->items[2].node, &f->items[1].node);
	assert_values(&f->list, (int[]){ 0, 1, 2, 3 }, 4);
}

static void list_removes_from_anywhere(void **state)
{
	struct fixture *f = *state;

	push(&f->list, f->items, 0, 4);
	list_remove(&f->items[1].node);
	assert_values(&f->list, (int[]){ 0, 2, 3 }, 3);
	list_remove(&f->items[3].node);
	assert_values(&f->list, (int[]){ 0, 2 }, 2);
	list_remove(&f->items[0].node);
	list_remove(&f->items[2].node);
	assert_true(list_empty(&f->list));
	assert_null(f->items[2].node.next);
	assert_null(f->items[2].node.prev);
}

static void list_splice_moves_all_to_the_end(void **state)
{
	struct fixture *f = *state;

	push(&f->list, f->items, 0, 2);
	push(&f->other, f->items, 2, 4);
	list_splice(&f->list, &f->other);
	assert_values(&f->list, (int[]){ 0, 1, 2, 3 }, 4);
	assert_true(list_empty(&f->other));
}

static void list_splice_takes_empty_lists(void **state)
{
	struct fixture *f = *state;

	list_splice(&f->list, &f->other);
	assert_true(list_empty(&f->list));
	push(&f->other, f->items, 0, 2);
	list_splice(&f->list, &f->other);
	assert_values(&f->list, (int[]){ 0, 1 }, 2);
	list_splice(&f->list, &f->other);
	assert_values(&f->list, (int[]){ 0, 1 }, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(list_pops_in_the_order_of_pushes, setup),
		cmocka_unit_test_setup(list_inserts_in_front, setup),
		cmocka_unit_test_setup(list_removes_from_anywhere, setup),
		cmocka_unit_test_setup(list_splice_moves_all_to_the_end, setup),
		cmocka_unit_test_setup(list_splice_takes_empty_lists, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
