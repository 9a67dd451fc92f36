/* mutation.c - the requests, and a table of ways to spoil them. */
#include "support/mutation.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define NUMBER "########"
#define SMUGGLED "GET /echo/smuggled-" NUMBER " HTTP/1.1\r\nHost: a\r\n\r\n" /* 49 bytes */
#define HOST "Host: a\r\n"

static const char *const seeds[] = {
	"GET / HTTP/1.1\r\n" HOST "\r\n",
	"GET /echo/" NUMBER " HTTP/1.1\r\n" HOST "\r\n",
	"GET /echo/" NUMBER "?q=%41&r=/../ HTTP/1.1\r\n" HOST "Accept: */*\r\nUser-Agent: mutant/1.0 (x; y)\r\n\r\n",
	"HEAD /echo/" NUMBER " HTTP/1.1\r\n" HOST "\r\n",
	"OPTIONS * HTTP/1.1\r\n" HOST "\r\n",
	"OPTIONS /echo HTTP/1.1\r\n" HOST "\r\n",
	"DELETE /echo/" NUMBER " HTTP/1.1\r\n" HOST "\r\n",
	"PUT /echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc",
	"GET /nowhere/" NUMBER " HTTP/1.1\r\n" HOST "\r\n",
	"GET /echo/" NUMBER " HTTP/1.0\r\n\r\n",
	"GET /echo/" NUMBER " HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
	"GET /echo/" NUMBER " HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n" SMUGGLED,
	"GET /echo/" NUMBER " HTTP/1.1\r\n" HOST "Connection: keep-alive, x-one\r\nX-One: 1\r\n\r\n",
	"GET http://a/echo/" NUMBER " HTTP/1.1\r\n" HOST "\r\n",
	"GET http://example.com:8080/echo/" NUMBER "?x HTTP/1.1\r\nHost: example.com:8080\r\n\r\n",
	"GET /echo/" NUMBER " HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
	"GET /echo/" NUMBER " HTTP/1.1\r\n" HOST "X-Quoted: \"a, b\\\"c\"\r\nX-Empty:\r\nX-Tab:\tv\tw \t\r\n\r\n",
	"GET /echo/" NUMBER " HTTP/1.1\r\n" HOST "Cookie: a=b; c=d\r\nCookie: e=f\r\nAccept-Encoding: gzip, br\r\n\r\n",
	"\r\nGET /echo/" NUMBER " HTTP/1.1\r\n" HOST "\r\n",
	"GET /%65cho/" NUMBER " HTTP/1.1\r\n" HOST "\r\n",
	"GET /x/../echo/" NUMBER " HTTP/1.1\r\n" HOST "\r\n",
	"GET /echo/" NUMBER " HTTP/1.1\r\n" HOST "X: GET /echo/smuggled-" NUMBER " HTTP/1.1\r\n\r\n",
	"POST /echo HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n",
	"POST /echo HTTP/1.1\r\n" HOST "Content-Length: 8\r\n\r\n" NUMBER,
	"POST /echo HTTP/1.1\r\n" HOST "Content-Length: 49\r\n\r\n" SMUGGLED,
	"POST /echo HTTP/1.1\r\nContent-Length: 0049\r\n" HOST "Content-Type: text/plain\r\n\r\n" SMUGGLED,
	"POST /upload HTTP/1.1\r\n" HOST "Content-Length: 49\r\n\r\n" SMUGGLED,
	"POST /upload HTTP/1.1\r\n" HOST "Content-Length: 57\r\nExpect: 100-continue\r\n\r\n" SMUGGLED NUMBER,
	"POST /echo HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 49\r\n\r\n" SMUGGLED,
	"POST /echo HTTP/1.0\r\nContent-Length: 49\r\nConnection: Keep-Alive\r\n\r\n" SMUGGLED,
	"POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n31\r\n" SMUGGLED "\r\n0\r\n\r\n",
	"POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n8\r\n" NUMBER "\r\n031\r\n" SMUGGLED "\r\n"
	"0\r\n\r\n",
	"POST /upload HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n31\r\n" SMUGGLED "\r\n0\r\n\r\n",
	"POST /upload HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n" HOST "\r\n"
	"1\r\na\r\n31\r\n" SMUGGLED "\r\nA\r\n0123456789\r\n000\r\n\r\n",
	"POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n31;name=value\r\n" SMUGGLED "\r\n0;x\r\n\r\n",
	"POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
	"31\r\n" SMUGGLED "\r\n0\r\nX-Sum: GET /echo/smuggled-" NUMBER " HTTP/1.1\r\nX-Two: 2\r\n\r\n",
	"POST /upload HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nExpect: 100-Continue\r\n\r\n"
	"31\r\n" SMUGGLED "\r\n0\r\n\r\n",
	"POST /nowhere HTTP/1.1\r\n" HOST "Content-Length: 49\r\n\r\n" SMUGGLED,
	"DELETE /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n31\r\n" SMUGGLED "\r\n0\r\n\r\n",
	"GET /echo/" NUMBER " HTTP/1.1\r\n" HOST "Content-Length: 49\r\n\r\n" SMUGGLED,
	"POST /echo HTTP/1.1\r\n" HOST "Content-Length: 98\r\n\r\n" SMUGGLED SMUGGLED,
};

/* What fools parsers. A NUL goes in by its own way. */
static const char *const tricks[] = {
	"\r",
	"\n",
	"\r\r\n",
	"\n\r\n",
	"\r\n\r\n",
	"\n\n",
	"\r\n ",
	"\r\n\t",
	" ",
	"\t",
	"\v",
	"\f",
	":",
	";",
	",",
	"0",
	"-",
	"+",
	"%00",
	"%2e%2e/",
	"../",
	"//",
	"\x7f",
	"\x80",
	"\xff",
	"\xc2\xa0",
	"\"",
	"#",
	"Content-Length: 0\r\n",
	"Content-Length: 5\r\n",
	"Content-Length: 49\r\n",
	"Content-Length : 0\r\n",
	"Content-Length: +49\r\n",
	"Content-Length: 0, 49\r\n",
	"Content-Length:\r\n 49\r\n",
	"Transfer-Encoding: chunked\r\n",
	"Transfer-Encoding: identity\r\n",
	"Transfer-Encoding: gzip, chunked\r\n",
	"Transfer-Encoding: xchunked\r\n",
	"Transfer-Encoding : chunked\r\n",
	"Transfer-Encoding:\tchunked\r\n",
	"Transfer-Encoding: \r\n",
	"Transfer-Encoding: \"chunked\"\r\n",
	"X: \rTransfer-Encoding: chunked\r\n",
	"Host: b\r\n",
	"Connection: close\r\n",
	"Connection: upgrade\r\nUpgrade: h2c\r\n",
	"Expect: 100-continue\r\n",
	"Expect: more\r\n",
	": x\r\n",
	"\r\n0\r\n\r\n",
	"0\r\n\r\n",
	"0\r\n\rX",
	"HTTP/1.1",
	" HTTP/1.0\r\n",
	(SMUGGLED),
	("\r\n" SMUGGLED),
	("\n" SMUGGLED),
};

static const char *const numbers[] = { "0", "1", "00", "-1", "+1", "0x31", "48", "50", "30", "32", "1048576", "1048577",
	"2147483648", "4294967296", "4294967345", "9223372036854775808", "18446744073709551615", "18446744073709551616",
	"18446744073709551665", "99999999999999999999999999999999", "FFFFFFFF", "FFFFFFFFFFFFFFFF", "10000000000000031",
	"00000000000000000000031", "1e1", "4 9", "4_9", "49.0", "" };

enum { SEEDS = sizeof(seeds) / sizeof(seeds[0]) };

#define PICK(random, table) (table)[mutation_below(random, sizeof(table) / sizeof((table)[0]))]

struct mutation_random mutation_seed(uint64_t seed, uint64_t index)
{
	return (struct mutation_random){ seed * 0x9e3779b97f4a7c15 ^ (index + 1) * 0xd1342543de82ef95 };
}

/* splitmix64 */
unsigned mutation_below(struct mutation_random *random, unsigned n)
{
	uint64_t z = random->state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return (unsigned)((z ^ z >> 31) >> 16) % n;
}

unsigned mutation_seeds(void)
{
	return SEEDS;
}

size_t mutation_request(unsigned seed, unsigned number, char *bytes)
{
	size_t len = strlen(seeds[seed]);
	char digits[sizeof(NUMBER)];
	char *at = bytes;

	memcpy(bytes, seeds[seed], len + 1);
	snprintf(digits, sizeof(digits), "%08u", number % 100000000);
	while ((at = strstr(at, NUMBER)))
		memcpy(at, digits, sizeof(NUMBER) - 1);
	return len;
}

/* n bytes at offset at become those of with; without room nothing changes. */
static size_t replace(char *bytes, size_t len, size_t at, size_t n, const void *with, size_t with_len)
{
	if (len - n + with_len > MUTATION_MAX)
		return len;
	memmove(bytes + at + with_len, bytes + at + n, len - at - n);
	memcpy(bytes + at, with, with_len);
	return len - n + with_len;
}

/* The line around offset at, with its end. */
static void line_at(const char *bytes, size_t len, size_t at, size_t *begin, size_t *n)
{
	size_t end = at;

	while (at && bytes[at - 1] != '\n')
		at--;
	while (end < len && bytes[end] != '\n')
		end++;
	*begin = at;
	*n = (end < len ? end + 1 : end) - at;
}

static size_t spoil_number(struct mutation_random *random, char *bytes, size_t len, size_t at)
{
	const char *number = PICK(random, numbers);
	size_t end;

	while (at < len && !isdigit((unsigned char)bytes[at]))
		at++;
	for (end = at; end < len && isxdigit((unsigned char)bytes[end]); end++)
		;
	return replace(bytes, len, at, end - at, number, strlen(number));
}

/* A line's end becomes another. */
static size_t spoil_end(struct mutation_random *random, char *bytes, size_t len, size_t at)
{
	static const char *const ends[] = { "\n", "\r", "\r\r\n", "\n\r", "\r\n\r\n", " \r\n", "\t\r\n", "\r\n ", "" };
	const char *end = PICK(random, ends);

	while (at < len && bytes[at] != '\r')
		at++;
	if (at + 2 > len)
		return len;
	return replace(bytes, len, at, 2, end, strlen(end));
}

static size_t move_line(struct mutation_random *random, char *bytes, size_t len, size_t at)
{
	bool again = mutation_below(random, 2);
	char line[MUTATION_MAX];
	size_t begin, n;

	line_at(bytes, len, at, &begin, &n);
	memcpy(line, bytes + begin, n);
	if (!again)
		len = replace(bytes, len, begin, n, "", 0);
	line_at(bytes, len, mutation_below(random, (unsigned)len + 1), &begin, &(size_t){ 0 });
	return replace(bytes, len, begin, 0, line, n);
}

/* The rest becomes another request's. */
static size_t splice(struct mutation_random *random, char *bytes, size_t len, size_t at)
{
	char other[MUTATION_MAX];
	size_t n = mutation_request(mutation_below(random, SEEDS), mutation_below(random, 100000000), other);
	size_t from = mutation_below(random, (unsigned)n);

	return replace(bytes, len, at, len - at, other + from, n - from);
}

static size_t spoil(struct mutation_random *random, char *bytes, size_t len)
{
	size_t at = mutation_below(random, (unsigned)len + 1), n = 1 + mutation_below(random, 8);
	size_t begin, line;
	const char *trick;
	char byte;

	switch (mutation_below(random, 12)) {
	case 0:
		if (at < len)
			bytes[at] ^= (char)(1 << mutation_below(random, 8));
		return len;
	case 1: byte = (char)mutation_below(random, 256); return replace(bytes, len, at, 0, &byte, 1);
	case 2: return replace(bytes, len, at, n < len - at ? n : len - at, "", 0);
	case 3: return replace(bytes, len, at, 0, "", 1); /* NUL */
	case 4: trick = PICK(random, tricks); return replace(bytes, len, at, 0, trick, strlen(trick));
	case 5:
	case 6:
		/* The same where a line begins. */
		trick = PICK(random, tricks);
		line_at(bytes, len, at, &begin, &line);
		return replace(bytes, len, begin, 0, trick, strlen(trick));
	case 7: return spoil_number(random, bytes, len, at);
	case 8: return spoil_end(random, bytes, len, at);
	case 9: return move_line(random, bytes, len, at);
	case 10: return splice(random, bytes, len, at);
	default: return mutation_below(random, 4) ? spoil_number(random, bytes, len, at / 4) : at;
	}
}

size_t mutation_apply(struct mutation_random *random, char *bytes, size_t len)
{
	unsigned times = 1 + mutation_below(random, 5) / 3;

	while (times-- && len)
		len = spoil(random, bytes, len);
	return len;
}
