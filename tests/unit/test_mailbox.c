/* test_mailbox.c - base/mailbox, on real loops and threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <uv.h>

#include "base/mailbox.h"

enum { POSTERS = 3, MAILS = 1000 };

struct letter {
	struct mail mail;
	unsigned poster;
	unsigned number;
};

struct fixture {
	uv_loop_t loop;
	struct mailbox box;
	unsigned next[POSTERS]; /* the number that the poster's next letter must have */
	unsigned received;
	unsigned close_at;     /* after that many letters the mailbox closes itself */
	struct letter *repost; /* posted once by the receiver */
	int repost_err;
	bool done;
};

struct poster {
	struct fixture *fixture;
	unsigned index;
	struct letter letters[MAILS];
};

static void on_done(uv_handle_t *handle)
{
	struct mailbox *box = handle->data;
	struct fixture *f = box->owner;

	f->done = true;
}

static void on_mail(struct mail *mail, void *owner)
{
	struct letter *letter = list_entry(mail, struct letter, mail);
	struct fixture *f = owner;

	assert_int_equal(letter->number, f->next[letter->poster]);
	f->next[letter->poster]++;
	if (f->repost) {
		struct letter *again = f->repost;

		f->repost = NULL;
		f->repost_err = mailbox_post(&f->box, &again->mail);
	}
	if (++f->received == f->close_at)
		mailbox_close(&f->box, on_done);
}

static int setup(void **state)
{
	static struct fixture fixture;

	fixture = (struct fixture){ 0 };
	*state = &fixture;
	return uv_loop_init(&fixture.loop) || mailbox_init(&fixture.box, &fixture.loop, on_mail, &fixture);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	return !f->done || uv_loop_close(&f->loop);
}

static void post_all(void *arg)
{
	struct poster *poster = arg;

	for (unsigned i = 0; i < MAILS; i++) {
		poster->letters[i] = (struct letter){ .poster = poster->index, .number = i };
		if (mailbox_post(&poster->fixture->box, &poster->letters[i].mail))
			return; /* seen by the loop, which waits for this letter, as a hang */
	}
}

static void mailbox_delivers_each_threads_mail_in_order(void **state)
{
	static struct poster posters[POSTERS];
	struct fixture *f = *state;
	uv_thread_t threads[POSTERS];

	f->close_at = POSTERS * MAILS;
	for (unsigned i = 0; i < POSTERS; i++) {
		posters[i].fixture = f;
		posters[i].index = i;
		assert_int_equal(uv_thread_create(&threads[i], post_all, &posters[i]), 0);
	}
	uv_run(&f->loop, UV_RUN_DEFAULT);
	for (unsigned i = 0; i < POSTERS; i++) {
		uv_thread_join(&threads[i]);
		assert_int_equal(f->next[i], MAILS);
	}
}

static void mailbox_delivers_what_is_left_when_it_closes(void **state)
{
	struct fixture *f = *state;
	struct letter letters[2] = { { .number = 0 }, { .number = 1 } };

	assert_int_equal(mailbox_post(&f->box, &letters[0].mail), 0);
	assert_int_equal(mailbox_post(&f->box, &letters[1].mail), 0);
	mailbox_close(&f->box, on_done);
	assert_int_equal(f->received, 2);
	assert_false(f->done);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(f->received, 2);
}

static void mailbox_refuses_mail_once_closed(void **state)
{
	struct fixture *f = *state;
	struct letter letter = { .number = 0 };

	mailbox_close(&f->box, on_done);
	assert_int_equal(mailbox_post(&f->box, &letter.mail), UV_ECANCELED);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(f->received, 0);
}

static void mailbox_takes_mail_from_its_own_receiver(void **state)
{
	struct fixture *f = *state;
	struct letter letters[2] = { { .number = 0 }, { .number = 1 } };

	f->close_at = 2;
	f->repost = &letters[1];
	assert_int_equal(mailbox_post(&f->box, &letters[0].mail), 0);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(f->repost_err, 0);
	assert_int_equal(f->received, 2);
}

static void mailbox_refuses_its_own_receiver_while_closing(void **state)
{
	struct fixture *f = *state;
	struct letter letters[2] = { { .number = 0 }, { .number = 1 } };

	f->repost = &letters[1];
	assert_int_equal(mailbox_post(&f->box, &letters[0].mail), 0);
	mailbox_close(&f->box, on_done);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(f->repost_err, UV_ECANCELED);
	assert_int_equal(f->received, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(mailbox_delivers_each_threads_mail_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(mailbox_delivers_what_is_left_when_it_closes, setup, teardown),
		cmocka_unit_test_setup_teardown(mailbox_refuses_mail_once_closed, setup, teardown),
		cmocka_unit_test_setup_teardown(mailbox_takes_mail_from_its_own_receiver, setup, teardown),
		cmocka_unit_test_setup_teardown(mailbox_refuses_its_own_receiver_while_closing, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
