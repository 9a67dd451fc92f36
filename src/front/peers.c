/* peers.c - a hash table whose entries are given back by whoever walks past them. */
#include "front/peers.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/hash.h"

struct entry {
	uint64_t key;
	uint32_t next; /* of its bucket, or of those that are free; 0: none */
	bool v6;
};

struct peers {
	uint64_t seed; /* so that nobody can choose addresses that meet in one bucket */
	uint32_t mask;
	uint32_t size;  /* entries that there may be, and one: 0 is nobody's */
	uint32_t fresh; /* from here on none has ever been used */
	uint32_t free;
	unsigned known;
	struct entry *entries;
	_Atomic uint32_t *counts; /* by the same index */
	uint32_t *buckets;
};

struct peers *peers_create(unsigned most)
{
	struct peers *peers = calloc(1, sizeof(*peers));
	uint32_t buckets = 16;

	if (!peers)
		return NULL;
	while (buckets < most)
		buckets *= 2;
	peers->mask = buckets - 1;
	/* Twice as many as can be in use, so that looking for old ones everywhere is rare. */
	peers->size = 2 * most + 2;
	peers->fresh = 1;
	/* Large and zeroed: memory only where it is used. */
	peers->entries = calloc(peers->size, sizeof(*peers->entries));
	peers->counts = calloc(peers->size, sizeof(*peers->counts));
	peers->buckets = calloc(buckets, sizeof(*peers->buckets));
	if (!peers->entries || !peers->counts || !peers->buckets) {
		peers_destroy(peers);
		return NULL;
	}
	if (getrandom(&peers->seed, sizeof(peers->seed), GRND_NONBLOCK) != (ssize_t)sizeof(peers->seed))
		peers->seed = (uint64_t)(uintptr_t)peers;
	return peers;
}

void peers_destroy(struct peers *peers)
{
	if (!peers)
		return;
	free(peers->entries);
	free(peers->counts);
	free(peers->buckets);
	free(peers);
}

_Atomic uint32_t *peers_counts(struct peers *peers)
{
	return peers->counts;
}

unsigned peers_known(const struct peers *peers)
{
	return peers->known;
}

/* False: not counted. */
static bool make_key(const struct sockaddr *address, uint64_t *key, bool *v6)
{
	uint64_t words[2];

	*v6 = address->sa_family == AF_INET6;
	if (address->sa_family == AF_INET) {
		*key = ((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr;
		return true;
	}
	if (!*v6)
		return false;
	memcpy(words, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, sizeof(words));
	*key = words[0];
	/* ::ffff:a.b.c.d */
	if (!words[0] && (words[1] & 0xffffffff) == htonl(0xffff)) {
		*v6 = false;
		*key = words[1] >> 32;
	}
	return true;
}

static uint32_t count_of(const struct peers *peers, uint32_t index)
{
	return atomic_load_explicit(&peers->counts[index], memory_order_relaxed);
}

/* The entry of key in its bucket, 0 if there is none; those of clients that have gone are given back on the way. */
static uint32_t find(struct peers *peers, uint32_t *bucket, uint64_t key, bool v6)
{
	uint32_t found = 0;

	for (uint32_t *at = bucket, i; (i = *at);) {
		struct entry *entry = &peers->entries[i];

		if (entry->key == key && entry->v6 == v6) {
			found = i;
		} else if (!count_of(peers, i)) {
			*at = entry->next;
			entry->next = peers->free;
			peers->free = i;
			peers->known--;
			continue;
		}
		at = &entry->next;
	}
	return found;
}

static uint32_t take_free(struct peers *peers)
{
	uint32_t index = peers->free;

	if (index) {
		peers->free = peers->entries[index].next;
		return index;
	}
	return peers->fresh < peers->size ? peers->fresh++ : 0;
}

static uint32_t make(struct peers *peers, uint32_t *bucket, uint64_t key, bool v6)
{
	uint32_t index = take_free(peers);

	if (!index) {
		/* What this looks for stays, if it is there at all: one entry, and there is room for more than that. */
		for (uint32_t i = 0; i <= peers->mask; i++)
			(void)find(peers, &peers->buckets[i], 0, true);
		index = take_free(peers);
	}
	if (!index)
		return 0;
	peers->entries[index] = (struct entry){ .key = key, .v6 = v6, .next = *bucket };
	*bucket = index;
	peers->known++;
	return index;
}

bool peers_add(struct peers *peers, const struct sockaddr *address, uint32_t limit, uint32_t *index)
{
	uint64_t key;
	uint32_t *bucket;
	uint32_t found;
	bool v6;

	if (!make_key(address, &key, &v6)) {
		*index = 0;
		return true;
	}
	bucket = &peers->buckets[hash_mix(key ^ peers->seed) & peers->mask];
	found = find(peers, bucket, key, v6);
	if (!found)
		found = make(peers, bucket, key, v6);
	/* Only this thread makes it more. */
	if (found && count_of(peers, found) >= limit)
		return false;
	if (found)
		atomic_fetch_add_explicit(&peers->counts[found], 1, memory_order_relaxed);
	*index = found;
	return true;
}
