/* trace.c - ids: made, and judged. */
#include "http/trace.h"

#include <endian.h>
#include <string.h>
#include <sys/random.h>
#include <uv.h>

/* Constant once there is more than one thread. */
static uint64_t seeds[2];

void trace_init(void)
{
	/* 16 bytes are given whole or not at all; the clock is a poor seed, and better than none. */
	if (getrandom(seeds, sizeof(seeds), 0) != (ssize_t)sizeof(seeds)) {
		seeds[0] = uv_hrtime();
		seeds[1] = (uint64_t)uv_os_getpid();
	}
}

/* The finaliser of splitmix64: each bit of x moves every bit of the result, and no two x have the same. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/* Eight digits, all at once. */
static char *put_hex_half(char *at, uint32_t half)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	uint64_t x = half;

	/* A nibble to each byte; then 'a' - '9' - 1 more where it is above 9. */
	x = (x << 16 | x) & UINT64_C(0x0000ffff0000ffff);
	x = (x << 8 | x) & UINT64_C(0x00ff00ff00ff00ff);
	x = (x << 4 | x) & UINT64_C(0x0f0f0f0f0f0f0f0f);
	x += ones * '0' + ((x + ones * 6) >> 4 & ones) * ('a' - '9' - 1);
	x = htobe64(x);
	memcpy(at, &x, sizeof(x));
	return at + sizeof(x);
}

static char *put_hex(char *at, uint64_t x)
{
	return put_hex_half(put_hex_half(at, (uint32_t)(x >> 32)), (uint32_t)x);
}

void trace_make_id(const struct trace_place *place, char id[TRACE_ID_LEN])
{
	uint64_t which = (uint64_t)(uint32_t)place->fd << 32 | place->served;
	uint64_t first = mix(mix(seeds[0] + place->started_ns) ^ which);
	uint64_t second = mix(mix(seeds[1] ^ which) + place->started_ns);

	put_hex(put_hex(id, first), second);
}

bool trace_id_is_good(const char *id, size_t len)
{
	if (len == 0 || len > TRACE_ID_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (id[i] <= ' ' || id[i] >= 0x7f || id[i] == '"' || id[i] == '\'' || id[i] == '\\')
			return false;
	return true;
}

/* n lower-case hexadecimal digits, not all of them 0 unless zero. */
static bool is_hex(const char *at, size_t n, bool zero)
{
	for (size_t i = 0; i < n; i++) {
		if ((at[i] < '0' || at[i] > '9') && (at[i] < 'a' || at[i] > 'f'))
			return false;
		zero |= at[i] != '0';
	}
	return zero;
}

bool trace_parent_is_good(const char *parent, size_t len)
{
	return len == TRACE_PARENT_LEN && parent[0] == '0' && parent[1] == '0' && parent[2] == '-' &&
		is_hex(parent + 3, 32, false) && parent[35] == '-' && is_hex(parent + 36, 16, false) &&
		parent[52] == '-' && is_hex(parent + 53, 2, true);
}
