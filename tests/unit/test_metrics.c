/* test_metrics.c - metrics/metrics: shards, their sums, and a scrape beside a writer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

#include "metrics/metrics.h"

struct fixture {
	struct metrics *metrics;
	struct metrics_shard shards[2];
	struct outbuf out;
};

static int setup(void **state)
{
	static const char *const names[] = { "app1", "app2" };
	static const uint16_t codes[] = { 200, 404, 0 };
	static struct fixture f;

	memset(&f, 0xa5, sizeof(f)); /* an incarnation's memory is whatever it was */
	f.out = (struct outbuf){ 0 };
	f.metrics = metrics_create(names, 2, codes);
	*state = &f;
	return !f.metrics;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	metrics_destroy(f->metrics);
	outbuf_finish(&f->out);
	return 0;
}

/* The number behind series in an exposition of now; -1: no such series. */
static double scrape(struct fixture *f, int worker, const char *series)
{
	char prefix[256];
	const char *at;
	double value;

	outbuf_reset(&f->out, SIZE_MAX);
	metrics_write(f->metrics, worker, EXPOSITION_TEXT, &f->out);
	outbuf_append(&f->out, "", 1);
	assert_false(f->out.failed);
	snprintf(prefix, sizeof(prefix), "\n%s ", series);
	at = strstr(f->out.data, prefix);
	if (!at)
		return -1;
	assert_int_equal(sscanf(at + strlen(prefix), "%lf", &value), 1);
	return value;
}

static void metrics_attach_zeroes_a_shard(void **state)
{
	struct fixture *f = *state;

	metrics_attach(f->metrics, 0, &f->shards[0]);
	for (unsigned cell = 0; cell < METRICS_CELLS; cell++) {
		assert_int_equal(metrics_get(&f->shards[0], cell), 0);
		assert_int_equal(metrics_worker_value(f->metrics, 0, cell), 0);
	}
	metrics_detach(f->metrics, 0, &f->shards[0]);
}

static void metrics_sum_all_shards_of_a_name(void **state)
{
	struct fixture *f = *state;

	metrics_attach(f->metrics, 1, &f->shards[0]);
	metrics_attach(f->metrics, 1, &f->shards[1]);
	metrics_add(&f->shards[0], METRIC_request_bytes, 10);
	metrics_add(&f->shards[1], METRIC_request_bytes, 200);
	metrics_add(metrics_control_shard(f->metrics, 1), METRIC_request_bytes, 3000);
	assert_int_equal(metrics_worker_value(f->metrics, 1, METRIC_request_bytes), 3210);
	assert_int_equal(metrics_worker_value(f->metrics, 0, METRIC_request_bytes), 0);
	assert_true(scrape(f, METRICS_ALL, "rmsd_http_request_bytes_total{worker=\"app2\"}") == 3210);
	metrics_detach(f->metrics, 1, &f->shards[0]);
	metrics_detach(f->metrics, 1, &f->shards[1]);
}

static void metrics_survive_kill_and_revive(void **state)
{
	struct fixture *f = *state;

	for (uint64_t life = 1; life <= 3; life++) {
		metrics_attach(f->metrics, 0, &f->shards[0]);
		for (unsigned cell = 0; cell < METRICS_CELLS; cell++)
			metrics_add(&f->shards[0], cell, cell + 1);
		for (unsigned cell = 0; cell < METRICS_CELLS; cell++)
			assert_int_equal(metrics_worker_value(f->metrics, 0, cell), life * (cell + 1));
		metrics_detach(f->metrics, 0, &f->shards[0]);
		for (unsigned cell = 0; cell < METRICS_CELLS; cell++)
			assert_int_equal(metrics_worker_value(f->metrics, 0, cell), life * (cell + 1));
	}
}

static void metrics_gauge_is_right_over_two_writers(void **state)
{
	struct fixture *f = *state;
	struct metrics_shard *control = metrics_control_shard(f->metrics, 0);

	metrics_attach(f->metrics, 0, &f->shards[0]);
	metrics_add(control, METRIC_connections, 5);
	metrics_sub(&f->shards[0], METRIC_connections, 2); /* its own cell wraps */
	assert_int_equal(metrics_worker_value(f->metrics, 0, METRIC_connections), 3);
	assert_true(scrape(f, 0, "rmsd_connections{worker=\"app1\"}") == 3);
	metrics_sub(control, METRIC_connections, 3); /* taken: it was killed */
	metrics_detach(f->metrics, 0, &f->shards[0]);
	assert_int_equal(metrics_worker_value(f->metrics, 0, METRIC_connections), 0);
}

static void metrics_gauge_below_zero_is_zero(void **state)
{
	struct fixture *f = *state;

	metrics_sub(metrics_control_shard(f->metrics, 0), METRIC_in_flight, 1);
	assert_int_equal(metrics_worker_value(f->metrics, 0, METRIC_in_flight), 0);
	assert_true(scrape(f, 0, "rmsd_http_requests_in_flight{worker=\"app1\"}") == 0);
}

static void metrics_requests_are_the_sum_over_codes(void **state)
{
	struct fixture *f = *state;

	metrics_attach(f->metrics, 0, &f->shards[0]);
	metrics_add(&f->shards[0], METRIC_responses + METRICS_CODE(200), 7);
	metrics_add(&f->shards[0], METRIC_responses + METRICS_CODE(599), 20);
	metrics_add(metrics_control_shard(f->metrics, 0), METRIC_responses + METRICS_CODE(408), 300);
	assert_int_equal(metrics_worker_requests(f->metrics, 0), 327);
	assert_true(scrape(f, METRICS_ALL, "http_requests_total{worker=\"app1\"}") == 327);
	assert_true(scrape(f, METRICS_ALL, "http_requests_total{worker=\"app2\"}") == 0);
	metrics_detach(f->metrics, 0, &f->shards[0]);
	assert_int_equal(metrics_worker_requests(f->metrics, 0), 327);
}

static void metrics_codes_appear_when_asked_for_or_used(void **state)
{
	struct fixture *f = *state;

	assert_true(scrape(f, 0, "rmsd_http_responses_total{worker=\"app1\",code=\"200\"}") == 0);
	assert_true(scrape(f, 0, "rmsd_http_responses_total{worker=\"app1\",code=\"404\"}") == 0);
	assert_true(scrape(f, 0, "rmsd_http_responses_total{worker=\"app1\",code=\"418\"}") < 0);
	metrics_add(metrics_control_shard(f->metrics, 0), METRIC_responses + METRICS_CODE(418), 1);
	assert_true(scrape(f, 0, "rmsd_http_responses_total{worker=\"app1\",code=\"418\"}") == 1);
}

static void metrics_observe_fills_bucket_sum_and_count(void **state)
{
	struct fixture *f = *state;

#define DURATION "rmsd_http_request_duration_seconds"
	metrics_attach(f->metrics, 0, &f->shards[0]);
	metrics_observe(&f->shards[0], 100000, 2);      /* just in the first */
	metrics_observe(&f->shards[0], 100001, 1);      /* just not */
	metrics_observe(&f->shards[0], 20000000000, 1); /* beyond the last bound */
	assert_true(scrape(f, 0, DURATION "_bucket{worker=\"app1\",le=\"0.0001\"}") == 2);
	assert_true(scrape(f, 0, DURATION "_bucket{worker=\"app1\",le=\"0.00025\"}") == 3);
	assert_true(scrape(f, 0, DURATION "_bucket{worker=\"app1\",le=\"10\"}") == 3);
	assert_true(scrape(f, 0, DURATION "_bucket{worker=\"app1\",le=\"+Inf\"}") == 4);
	assert_true(scrape(f, 0, DURATION "_count{worker=\"app1\"}") == 4);
	assert_true(scrape(f, 0, DURATION "_sum{worker=\"app1\"}") == 20.000300001);
	metrics_detach(f->metrics, 0, &f->shards[0]);
}

static void metrics_of_a_worker_have_its_label_alone(void **state)
{
	struct fixture *f = *state;
	int series = 0;

	(void)scrape(f, 1, "");
	for (char *line = strtok(f->out.data, "\n"); line; line = strtok(NULL, "\n")) {
		if (*line == '#')
			continue;
		assert_non_null(strstr(line, "{worker=\"app2\""));
		series++;
	}
	assert_true(series > 20);
}

static void metrics_of_the_process_are_written_for_all(void **state)
{
	struct fixture *f = *state;
	double now = (double)time(NULL), start = scrape(f, METRICS_ALL, "process_start_time_seconds");

	metrics_add(metrics_process_shard(f->metrics), METRIC_shed + SHED_PER_IP, 9);
	assert_true(scrape(f, METRICS_ALL, "rmsd_requests_shed_total{reason=\"per_ip\"}") == 9);
	assert_true(scrape(f, METRICS_ALL, "rmsd_build_info{version=\"" RMSD_VERSION "\"}") == 1);
	assert_true(start > now - 600 && start <= now + 1);
	assert_true(scrape(f, METRICS_ALL, "process_threads") >= 1);
	assert_true(scrape(f, METRICS_ALL, "process_cpu_seconds_total") > 0);
	assert_true(scrape(f, METRICS_ALL, "process_resident_memory_bytes") > 100000);
	assert_true(scrape(f, METRICS_ALL, "process_virtual_memory_bytes") >
		scrape(f, METRICS_ALL, "process_resident_memory_bytes"));
	assert_true(scrape(f, METRICS_ALL, "process_virtual_memory_max_bytes") > 0);
	assert_true(scrape(f, METRICS_ALL, "process_max_fds") >= scrape(f, METRICS_ALL, "process_open_fds"));
}

static void metrics_count_open_fds(void **state)
{
	struct fixture *f = *state;
	double before = scrape(f, METRICS_ALL, "process_open_fds");
	int fds[2];

	assert_true(before >= 3);
	assert_int_equal(pipe(fds), 0);
	assert_true(scrape(f, METRICS_ALL, "process_open_fds") == before + 2);
	close(fds[0]);
	close(fds[1]);
	assert_true(scrape(f, METRICS_ALL, "process_open_fds") == before);
}

static void metrics_escape_a_workers_name(void **state)
{
	static const char *const names[] = { "a\\b\"c\nd" };
	struct fixture *f = *state;

	metrics_destroy(f->metrics);
	f->metrics = metrics_create(names, 1, (const uint16_t[]){ 0 });
	assert_non_null(f->metrics);
	assert_true(scrape(f, 0, "rmsd_worker_up{worker=\"a\\\\b\\\"c\\nd\"}") == 0);
}

static void metrics_states_have_their_names(void **state)
{
	(void)state;
	assert_string_equal(metrics_state_names[STATE_STARTING], "starting");
	assert_string_equal(metrics_state_names[STATE_UP], "up");
	assert_string_equal(metrics_state_names[STATE_DRAINING], "draining");
	assert_string_equal(metrics_state_names[STATE_STALLED], "stalled");
	assert_string_equal(metrics_state_names[STATE_DOWN], "down");
	assert_string_equal(metrics_state_names[STATE_FAILED], "failed");
	assert_int_equal(METRICS_VALUES_state, STATE_FAILED + 1);
}

static void metrics_destroy_takes_null(void **state)
{
	(void)state;
	metrics_destroy(NULL);
}

enum { LIVES = 40, ADDS = 20000 };

struct life {
	struct metrics_shard *shard;
};

static void count_requests(void *arg)
{
	struct life *life = arg;

	for (unsigned i = 0; i < ADDS; i++) {
		metrics_add(life->shard, METRIC_responses + METRICS_CODE(200 + i % 3), 1);
		metrics_observe(life->shard, i, 1);
	}
}

struct scraper {
	struct fixture *fixture;
	_Atomic bool stop;
	uint64_t last;
	unsigned backwards, disagreed, scrapes;
};

static uint64_t number_behind(const char *text, const char *series)
{
	const char *at = strstr(text, series);
	unsigned long long value = 0;

	if (at)
		(void)sscanf(at + strlen(series), "%llu", &value);
	return value;
}

static void scrape_until_stopped(void *arg)
{
	struct scraper *scraper = arg;
	struct outbuf out = { 0 };

	/* Tells its findings at the end: an assertion would leave through another thread's stack. */
	do {
		uint64_t total, codes = 0, buckets, count;

		outbuf_reset(&out, SIZE_MAX);
		metrics_write(scraper->fixture->metrics, 0, EXPOSITION_TEXT, &out);
		outbuf_append(&out, "", 1);
		total = number_behind(out.data, "\nhttp_requests_total{worker=\"app1\"} ");
		codes += number_behind(out.data, "responses_total{worker=\"app1\",code=\"200\"} ");
		codes += number_behind(out.data, "responses_total{worker=\"app1\",code=\"201\"} ");
		codes += number_behind(out.data, "responses_total{worker=\"app1\",code=\"202\"} ");
		buckets = number_behind(out.data, "seconds_bucket{worker=\"app1\",le=\"+Inf\"} ");
		count = number_behind(out.data, "seconds_count{worker=\"app1\"} ");
		scraper->backwards += total < scraper->last;
		scraper->disagreed += total != codes || buckets != count;
		scraper->last = total;
		scraper->scrapes++;
	} while (!scraper->stop);
	outbuf_finish(&out);
}

static void metrics_never_go_backwards_while_shards_come_and_go(void **state)
{
	struct fixture *f = *state;
	struct scraper scraper = { .fixture = f };
	uv_thread_t scraping, writing;

	assert_int_equal(uv_thread_create(&scraping, scrape_until_stopped, &scraper), 0);
	for (unsigned i = 0; i < LIVES; i++) {
		struct life life = { .shard = &f->shards[i % 2] };

		metrics_attach(f->metrics, 0, life.shard);
		assert_int_equal(uv_thread_create(&writing, count_requests, &life), 0);
		uv_thread_join(&writing);
		metrics_detach(f->metrics, 0, life.shard);
		memset(life.shard, 0xa5, sizeof(*life.shard)); /* freed: who still reads it reads nonsense */
	}
	scraper.stop = true;
	uv_thread_join(&scraping);
	assert_int_equal(scraper.backwards, 0);
	assert_int_equal(scraper.disagreed, 0);
	assert_true(scraper.scrapes > 0);
	assert_int_equal(metrics_worker_requests(f->metrics, 0), LIVES * ADDS);
	assert_true(scrape(f, 0, DURATION "_count{worker=\"app1\"}") == LIVES * ADDS);
}

static void metrics_read_is_what_is_written(void **state)
{
	struct fixture *f = *state;
	uint64_t rows[2][METRICS_CELLS], process[METRICS_CELLS];

	metrics_attach(f->metrics, 1, &f->shards[0]);
	metrics_add(&f->shards[0], METRIC_responses + METRICS_CODE(200), 3);
	metrics_add(metrics_control_shard(f->metrics, 1), METRIC_responses + METRICS_CODE(503), 2);
	metrics_observe(&f->shards[0], 120000, 3);
	metrics_set(metrics_admin_shard(f->metrics), METRIC_drill_running, 1);
	metrics_read(f->metrics, rows, process);
	assert_int_equal(rows[0][METRIC_requests], 0);
	assert_int_equal(rows[1][METRIC_requests], 5);
	assert_int_equal(rows[1][METRIC_requests], (int)scrape(f, METRICS_ALL, "http_requests_total{worker=\"app2\"}"));
	assert_int_equal(rows[1][METRIC_duration + 1], 3);
	assert_int_equal(process[METRIC_drill_running], 1);
	assert_int_equal(process[METRIC_process_start_time], 0);
	metrics_detach(f->metrics, 1, &f->shards[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(metrics_attach_zeroes_a_shard, setup, teardown),
		cmocka_unit_test_setup_teardown(metrics_sum_all_shards_of_a_name, setup, teardown),
		cmocka_unit_test_setup_teardown(metrics_survive_kill_and_revive, setup, teardown),
		cmocka_unit_test_setup_teardown(metrics_gauge_is_right_over_two_writers, setup, teardown),
		cmocka_unit_test_setup_teardown(metrics_gauge_below_zero_is_zero, setup, teardown),
		cmocka_unit_test_setup_teardown(metrics_requests_are_the_sum_over_codes, setup, teardown),
		cmocka_unit_test_setup_teardown(metrics_codes_appear_when_asked_for_or_used, setup, teardown),
		cmocka_unit_test_setup_teardown(metrics_observe_fills_bucket_sum_and_count, setup, teardown),
		cmocka_unit_test_setup_teardown(metrics_of_a_worker_have_its_label_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(metrics_of_the_process_are_written_for_all, setup, teardown),
		cmocka_unit_test_setup_teardown(metrics_count_open_fds, setup, teardown),
		cmocka_unit_test_setup_teardown(metrics_escape_a_workers_name, setup, teardown),
		cmocka_unit_test_setup_teardown(metrics_read_is_what_is_written, setup, teardown),
		cmocka_unit_test(metrics_states_have_their_names),
		cmocka_unit_test(metrics_destroy_takes_null),
		cmocka_unit_test_setup_teardown(metrics_never_go_backwards_while_shards_come_and_go, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
