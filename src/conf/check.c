/* check.c - what no option can tell alone: whether they hold together. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include "conf/load.h"

enum { WORKERS_MAX = 64 };

/* Somewhere to listen, and the option that wants it. */
struct door {
	enum option_id id;
	uint32_t i; /* of the listen item, or of the worker */
	struct value_address address;
};

static size_t list_doors(const struct load *load, struct door *doors)
{
	const struct conf *conf = load->conf;
	const bool *bad = load->bad;
	size_t n = 0;

	for (uint32_t i = 0; !bad[OPTION_listen] && i < conf->listen.n; i++)
		doors[n++] = (struct door){ OPTION_listen, i, conf->listen.items[i] };
	if (!bad[OPTION_admin_listen])
		doors[n++] = (struct door){ OPTION_admin_listen, 0, conf->admin_listen };
	/* The workers' ports are on the host of listen, and told by the workers' names. */
	if (!bad[OPTION_listen] && !bad[OPTION_workers] && !bad[OPTION_worker_port] && !bad[OPTION_worker_name] &&
		conf->worker_port > 0)
		for (uint32_t i = 0; i < conf->workers; i++)
			doors[n++] = (struct door){ OPTION_worker_port, i, conf_worker_address(conf, i) };
	if (!bad[OPTION_control_socket]) {
		struct door *door = &doors[n++];
		struct sockaddr_un *un = (struct sockaddr_un *)&door->address.sa;

		*door = (struct door){ .id = OPTION_control_socket, .address.sa_len = sizeof(*un) };
		un->sun_family = AF_UNIX;
		/* A path that was accepted fits into either. */
		memcpy(un->sun_path, conf->control_socket, strlen(conf->control_socket) + 1);
		memcpy(door->address.text, conf->control_socket, strlen(conf->control_socket) + 1);
	}
	return n;
}

static const struct yaml_node *place(const struct load *load, const struct door *door)
{
	const struct yaml_node *node = load->nodes[door->id];

	if (door->id != OPTION_listen || !node)
		return node;
	node = node->first;
	for (uint32_t i = 0; i < door->i; i++)
		node = node->next;
	return node;
}

/* An override is set after the file, and the file after the defaults. */
static int rank(const struct load *load, const struct door *door)
{
	long origin = load->conf->origins->options[door->id];

	return origin == ORIGIN_OVERRIDE ? 2 : origin != ORIGIN_DEFAULT;
}

/* The error is with what was set last, so never with a default. */
static void refuse_clash(struct load *load, const struct door *door, const struct door *other)
{
	const struct yaml_node *node = place(load, door);
	char worker[VALUE_NAME_MAX + 4];

	conf_worker_name(load->conf, door->id == OPTION_worker_port ? door->i : other->i, worker, sizeof(worker));
	if (door->id == OPTION_worker_port)
		load_tell(load, door->id, node, "%s's port is also %s's: \"%s\" (other ones; auto: any free; 0: none)",
			worker, options[other->id].name, other->address.text);
	else if (other->id == OPTION_worker_port)
		load_tell(load, door->id, node, "the same as %s's port: \"%s\" (another one, or another worker_port)",
			worker, door->address.text);
	else
		load_tell(load, door->id, node, "the same as %s: \"%s\" (another one)", options[other->id].name,
			door->address.text);
}

static void check_doors(struct load *load)
{
	const struct conf *conf = load->conf;
	struct door *doors = calloc(conf->listen.n + conf->workers + 2, sizeof(*doors));
	size_t n = 0;

	if (doors)
		n = list_doors(load, doors);
	else
		load->no_memory = true;
	for (size_t i = 1; i < n; i++) {
		for (size_t j = 0; j < i; j++) {
			const struct door *a = &doors[j], *b = &doors[i];

			if (a->id == b->id || !value_address_clash(&a->address, &b->address))
				continue;
			if (rank(load, a) > rank(load, b))
				refuse_clash(load, a, b);
			else
				refuse_clash(load, b, a);
		}
	}
	free(doors);
}

void load_check(struct load *load)
{
	const struct conf *conf = load->conf;
	const bool *bad = load->bad;

	if (load->no_memory || load->file.incomplete)
		return;
	if (!bad[OPTION_workers] && !bad[OPTION_worker_port] && conf->worker_port > 0 &&
		conf->worker_port + (int64_t)conf->workers - 1 > UINT16_MAX)
		load_tell(load, OPTION_worker_port, load->nodes[OPTION_worker_port],
			"the last worker's port is beyond 65535 (a number, to %u; auto: any free; 0: none)",
			UINT16_MAX + 1 - conf->workers);
	else
		check_doors(load);
	if (load->worker && !bad[OPTION_worker_name]) {
		/* A name that no number of workers would have is wrong whatever was meant; this conf goes nowhere. */
		if (bad[OPTION_workers])
			load->conf->workers = WORKERS_MAX;
		load_check_workers(load);
	}
}
