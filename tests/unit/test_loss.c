/* test_loss.c - http/loss: the table, a row of it each time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <llhttp.h>

#include "http/loss.h"

/* How a request was lost before, in order; then once more. */
struct row {
	const char *what;
	unsigned method;
	bool feeding, streamed;
	const char *kinds; /* a, s or f each: asked, stall, failure */
	enum loss_fate fate;
	enum loss_refusal refuse;
};

static const struct row rows[] = {
	{ "a GET", HTTP_GET, false, false, "a", FATE_MOVES, REFUSE_NONE },
	{ "a GET, after a stall", HTTP_GET, false, false, "s", FATE_MOVES, REFUSE_NONE },
	{ "a GET, after a failure", HTTP_GET, false, false, "f", FATE_MOVES, REFUSE_NONE },
	{ "a GET, many kills", HTTP_GET, false, false, "aaaaaaaaaa", FATE_MOVES, REFUSE_NONE },
	{ "a GET, two stalls", HTTP_GET, false, false, "ss", FATE_MOVES, REFUSE_POISON },
	{ "a GET, a stall and a failure", HTTP_GET, false, false, "sf", FATE_MOVES, REFUSE_POISON },
	{ "a GET, two failures", HTTP_GET, false, false, "ff", FATE_MOVES, REFUSE_POISON },
	{ "a GET, a kill between", HTTP_GET, false, false, "sas", FATE_MOVES, REFUSE_POISON },
	{ "a GET, a stall among kills", HTTP_GET, false, false, "aasa", FATE_MOVES, REFUSE_NONE },
	{ "a HEAD", HTTP_HEAD, false, false, "a", FATE_MOVES, REFUSE_NONE },
	{ "an OPTIONS", HTTP_OPTIONS, false, false, "s", FATE_MOVES, REFUSE_NONE },
	{ "a TRACE", HTTP_TRACE, false, false, "f", FATE_MOVES, REFUSE_NONE },
	{ "a PUT", HTTP_PUT, false, false, "a", FATE_WAITS, REFUSE_NONE },
	{ "a PUT, often", HTTP_PUT, false, false, "aaa", FATE_WAITS, REFUSE_NONE },
	{ "a PUT, after a failure", HTTP_PUT, false, false, "f", FATE_WAITS, REFUSE_NONE },
	{ "a PUT, two failures", HTTP_PUT, false, false, "ff", FATE_MOVES, REFUSE_POISON },
	{ "a PUT, after a stall", HTTP_PUT, false, false, "s", FATE_MOVES, REFUSE_UNKNOWN },
	{ "a DELETE", HTTP_DELETE, false, false, "a", FATE_WAITS, REFUSE_NONE },
	{ "a DELETE, after a stall", HTTP_DELETE, false, false, "s", FATE_MOVES, REFUSE_UNKNOWN },
	{ "a POST", HTTP_POST, false, false, "a", FATE_MOVES, REFUSE_UNKNOWN },
	{ "a POST, after a failure", HTTP_POST, false, false, "f", FATE_MOVES, REFUSE_UNKNOWN },
	{ "a PATCH", HTTP_PATCH, false, false, "a", FATE_MOVES, REFUSE_UNKNOWN },
	{ "a method that nobody knows", HTTP_MKCOL, false, false, "a", FATE_MOVES, REFUSE_UNKNOWN },
	{ "half a body of a PUT", HTTP_PUT, true, false, "a", FATE_MOVES, REFUSE_UNKNOWN },
	{ "half a body of a GET", HTTP_GET, true, false, "f", FATE_MOVES, REFUSE_UNKNOWN },
	{ "half a reply to a GET", HTTP_GET, false, true, "a", FATE_RESET, REFUSE_NONE },
	{ "half a reply to a POST", HTTP_POST, false, true, "s", FATE_RESET, REFUSE_NONE },
};

static enum loss_kind kind_of(char letter)
{
	return letter == 'a' ? LOSS_ASKED : letter == 's' ? LOSS_STALL : LOSS_FAILURE;
}

static void each_row_of_the_table_holds(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		struct slot slot = {
			.repeat = (uint8_t)loss_repeat(row->method), .feeding = row->feeding, .streamed = row->streamed
		};
		enum loss_fate fate = FATE_CLOSES;
		unsigned n = 0;

		for (const char *kind = row->kinds; *kind; kind++, n++) {
			if (slot.refuse)
				fail_msg("%s: refused after %u losses", row->what, n);
			slot.again = false;
			fate = loss_decide(&slot, kind_of(*kind));
		}
		if (fate != row->fate || slot.refuse != row->refuse || slot.lost != n)
			fail_msg("%s: fate %d, refusal %d, lost %u times", row->what, (int)fate, (int)slot.refuse,
				(unsigned)slot.lost);
		/* It runs again exactly if nothing speaks against it. */
		assert_true(slot.again == (row->refuse == REFUSE_NONE && row->fate != FATE_RESET));
	}
}

static void losses_are_counted_up_to_a_limit(void **state)
{
	struct slot slot = { .repeat = REPEAT_ALWAYS };

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(loss_decide(&slot, LOSS_ASKED), FATE_MOVES);
	assert_int_equal(slot.lost, UINT8_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_row_of_the_table_holds),
		cmocka_unit_test(losses_are_counted_up_to_a_limit),
	};

	return cmocka_run_group_tests_name("loss", tests, NULL, NULL);
}
