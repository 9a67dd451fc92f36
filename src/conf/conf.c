/* conf.c - the life of a conf, and what is asked of one. */
#include "conf/conf.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "conf/load.h"

struct conf *conf_ref(struct conf *conf)
{
	unsigned refs = atomic_fetch_add_explicit(&conf->refs, 1, memory_order_relaxed);

	assert(refs > 0);
	(void)refs;
	return conf;
}

static void destroy(struct conf *conf)
{
	for (unsigned i = 0; i < OPTION_COUNT; i++) {
		if (options[i].type->finish)
			options[i].type->finish(option_value(&options[i], conf));
	}
	for (size_t i = 0; i < conf->n_routes; i++) {
		free(conf->routes[i].path);
		free(conf->routes[i].text);
	}
	for (size_t i = 0; i < conf->n_worker_blocks; i++)
		free(conf->worker_blocks[i].name);
	free(conf->routes);
	free(conf->worker_blocks);
	if (conf->origins)
		free(conf->origins->file);
	free(conf->origins);
	free(conf);
}

void conf_unref(struct conf *conf)
{
	if (conf && atomic_fetch_sub_explicit(&conf->refs, 1, memory_order_acq_rel) == 1)
		destroy(conf);
}

void conf_worker_name(const struct conf *conf, unsigned index, char *buf, size_t size)
{
	snprintf(buf, size, "%s%u", conf->worker_name, index + 1);
}

unsigned conf_worker_weight(const struct conf *conf, unsigned index)
{
	char name[VALUE_NAME_MAX + 4];

	conf_worker_name(conf, index, name, sizeof(name));
	for (size_t i = 0; i < conf->n_worker_blocks; i++) {
		if (!strcmp(conf->worker_blocks[i].name, name))
			return conf->worker_blocks[i].weight;
	}
	return 1;
}
