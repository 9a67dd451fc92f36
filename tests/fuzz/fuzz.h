/*
 * fuzz.h - what a fuzz target is: a function of bytes that ends the process if the product breaks a promise.
 *
 * With libFuzzer (RMSD_FUZZ) it makes up the bytes; else replay.c runs the target on files, those of corpus/ in CI.
 *
 * Thread: one.
 */
#ifndef RMSD_TESTS_FUZZ_H
#define RMSD_TESTS_FUZZ_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

__attribute__((noreturn, format(printf, 4, 5))) static inline void fuzz_fail(
	const char *file, int line, const char *condition, const char *facts, ...)
{
	va_list args;

	fprintf(stderr, "%s:%d: not so: %s: ", file, line, condition);
	va_start(args, facts);
	vfprintf(stderr, facts, args);
	va_end(args);
	fputc('\n', stderr);
	abort();
}

/* In every build, and told on stderr with the facts that follow, as printf has them. */
#define FUZZ_CHECK(condition, ...) ((void)((condition) || (fuzz_fail(__FILE__, __LINE__, #condition, __VA_ARGS__), 0)))

/* Where a stream of bytes is cut: lengths of pieces, each one more than its byte says, over and over. */
struct fuzz_cuts {
	const uint8_t *lengths;
	size_t n; /* 0: one piece */
};

/* The length of piece number i of at most left bytes. */
static inline size_t fuzz_piece(const struct fuzz_cuts *cuts, size_t i, size_t left)
{
	size_t len = cuts->n ? cuts->lengths[i % cuts->n] + (size_t)1 : left;

	return len < left ? len : left;
}

#endif
