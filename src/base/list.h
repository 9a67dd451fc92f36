/*
 * list.h - intrusive doubly linked list, circular through its head.
 *
 * Thread: none of its own; the owner of the head guards it.
 */
#ifndef RMSD_BASE_LIST_H
#define RMSD_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list_node {
	struct list_node *next, *prev;
};

struct list {
	struct list_node head;
};

/* The struct that embeds node as its member. */
/* clang-format off */ /* takes (node) for a cast */
#define list_entry(node, type, member) ((type *)(void *)((char *)(node) - offsetof(type, member)))
/* clang-format on */

static inline void list_init(struct list *list)
{
	list->head.next = list->head.prev = &list->head;
}

static inline bool list_empty(const struct list *list)
{
	return list->head.next == &list->head;
}

/* In front of at, which is in a list, or its head. */
static inline void list_insert(struct list_node *at, struct list_node *node)
{
	node->prev = at->prev;
	node->next = at;
	at->prev->next = node;
	at->prev = node;
}

static inline void list_push(struct list *list, struct list_node *node)
{
	list_insert(&list->head, node);
}

static inline void list_remove(struct list_node *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	node->next = node->prev = NULL;
}

/* The oldest, now out of the list; NULL when empty. */
static inline struct list_node *list_pop(struct list *list)
{
	struct list_node *node = list->head.next;

	if (node == &list->head)
		return NULL;
	list_remove(node);
	return node;
}

/* Everything of from to the end of to; from is empty then. */
static inline void list_splice(struct list *to, struct list *from)
{
	if (list_empty(from))
		return;
	from->head.next->prev = to->head.prev;
	from->head.prev->next = &to->head;
	to->head.prev->next = from->head.next;
	to->head.prev = from->head.prev;
	list_init(from);
}

#endif
