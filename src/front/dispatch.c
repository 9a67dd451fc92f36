/* dispatch.c - a scan over at most 64 candidates. */
#include "front/dispatch.h"

#include <netinet/in.h>
#include <string.h>

#include "base/hash.h"

/* load + 1, weighed: less is better. */
static bool is_less(const struct dispatch_candidate *a, const struct dispatch_candidate *b)
{
	return (a->load + 1) * b->weight < (b->load + 1) * a->weight;
}

/* Smooth weighted round robin over those marked: each gains its weight, the highest wins and pays them all. */
static int round_robin(struct dispatch_candidate *candidates, unsigned n, uint64_t marked)
{
	int64_t total = 0;
	int best = DISPATCH_NONE;

	for (unsigned i = 0; i < n; i++) {
		if (!(marked >> i & 1))
			continue;
		candidates[i].turn += candidates[i].weight;
		total += candidates[i].weight;
		if (best < 0 || candidates[i].turn > candidates[best].turn)
			best = (int)i;
	}
	if (best >= 0)
		candidates[best].turn -= total;
	return best;
}

static uint64_t mark_up(const struct dispatch_candidate *candidates, unsigned n)
{
	uint64_t marked = 0;

	for (unsigned i = 0; i < n; i++)
		marked |= (uint64_t)candidates[i].up << i;
	return marked;
}

static uint64_t mark_least(const struct dispatch_candidate *candidates, unsigned n)
{
	const struct dispatch_candidate *least = NULL;
	uint64_t marked = 0;

	for (unsigned i = 0; i < n; i++) {
		const struct dispatch_candidate *c = &candidates[i];

		if (!c->up || (least && is_less(least, c)))
			continue;
		if (!least || is_less(c, least)) {
			least = c;
			marked = 0;
		}
		marked |= (uint64_t)1 << i;
	}
	return marked;
}

/* The highest hash of (key, worker, draw) wins; a worker of weight w draws w times. */
static int rendezvous(const struct dispatch_candidate *candidates, unsigned n, uint64_t key)
{
	uint64_t highest = 0;
	int best = DISPATCH_NONE;

	for (unsigned i = 0; i < n; i++) {
		if (!candidates[i].up)
			continue;
		for (unsigned draw = 0; draw < candidates[i].weight; draw++) {
			uint64_t hash = hash_mix(key ^ hash_mix((uint64_t)i << 32 | draw));

			if (best < 0 || hash > highest) {
				highest = hash;
				best = (int)i;
			}
		}
	}
	return best;
}

int dispatch_pick(enum value_balance balance, struct dispatch_candidate *candidates, unsigned n, uint64_t key)
{
	switch (balance) {
	case BALANCE_LEAST_CONN: return round_robin(candidates, n, mark_least(candidates, n));
	case BALANCE_ROUND_ROBIN: return round_robin(candidates, n, mark_up(candidates, n));
	case BALANCE_IP_HASH: break;
	}
	return rendezvous(candidates, n, key);
}

uint64_t dispatch_key(const struct sockaddr *address)
{
	uint64_t words[2] = { 0 };

	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address;

		return hash_mix(in->sin_addr.s_addr);
	}
	if (address->sa_family != AF_INET6)
		return 0;
	memcpy(words, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, sizeof(words));
	/* ::ffff:a.b.c.d */
	if (!words[0] && (words[1] & 0xffffffff) == htonl(0xffff))
		return hash_mix(words[1] >> 32);
	return hash_mix(words[0] ^ hash_mix(words[1]));
}
