/* conf.c - the life of a conf, and what is asked of one. */
#include "conf/conf.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
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

struct value_address conf_worker_address(const struct conf *conf, unsigned index)
{
	struct value_address address = { .sa_len = sizeof(struct sockaddr_in) };
	struct sockaddr_in loopback = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	unsigned port = conf->worker_port == VALUE_PORT_AUTO ? 0 : (unsigned)conf->worker_port + index;

	memcpy(&address.sa, &loopback, sizeof(loopback));
	for (unsigned i = 0; i < conf->listen.n; i++)
		if (conf->listen.items[i].sa.ss_family != AF_UNIX) {
			address = conf->listen.items[i];
			break;
		}
	/* sin_port and sin6_port stand in the same place. */
	((struct sockaddr_in *)&address.sa)->sin_port = htons((uint16_t)port);
	address.text[0] = '\0';
	return address;
}
