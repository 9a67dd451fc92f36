/* doors.c - binding, and what to say when it fails. */
#include "server/doors.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const char *advise(int err, const char *in_use, const char *denied)
{
	switch (err) {
	case UV_EADDRINUSE: return in_use;
	case UV_EACCES: return denied;
	case UV_ENOENT:
	case UV_ENOTDIR: return ": its directory's own directory is not there: make it, or name another";
	case UV_EEXIST: return ": there is a file of that name that is no socket";
	default: return NULL;
	}
}

/* "KEY ADDRESS: why: what to do" */
static int fail(struct outbuf *error, int err, const char *key, const char *address, const char *advice)
{
	const char *why = uv_strerror(err);

	if (err == UV_EADDRINUSE)
		why = "address in use";
	else if (err == UV_EACCES)
		why = "permission denied";
	outbuf_printf(error, "%s%s%s: %s", key, *key ? " " : "", address, why);
	if (advice)
		outbuf_printf(error, "%s", advice);
	return err;
}

static int open_publics(struct doors *doors, const struct doors_setup *setup, struct outbuf *error)
{
	const struct value_addresses *listen = &setup->conf->listen;

	doors->publics = calloc(listen->n, sizeof(*doors->publics));
	if (!doors->publics)
		return UV_ENOMEM;
	for (unsigned i = 0; i < listen->n; i++) {
		const struct value_address *address = &listen->items[i];
		int err = listener_bind(&doors->publics[i], address, (int)setup->conf->backlog, 0666, setup->reserve,
			false, setup->loop, setup->on_publics, setup->owner);

		/* From here on connections queue; until they are accepted nobody else can have the address. */
		if (!err) {
			doors->n_publics++;
			err = listener_listen(&doors->publics[i]);
		}
		if (err < 0)
			return fail(error, err, "", address->text,
				advise(err, ": is another server there? try -o listen=:8080",
					": run as root, or -o listen=:8080"));
	}
	return 0;
}

static int open_workers(struct doors *doors, const struct doors_setup *setup, struct outbuf *error)
{
	const struct conf *conf = setup->conf;
	char text[32];

	doors->n_workers = fleet_size(setup->fleet);
	doors->workers = calloc(doors->n_workers, sizeof(*doors->workers));
	if (!doors->workers)
		return UV_ENOMEM;
	for (unsigned i = 0; i < doors->n_workers; i++)
		doors->workers[i].fd = -1;
	if (!conf->worker_port)
		return 0;
	for (unsigned i = 0; i < doors->n_workers; i++) {
		struct value_address address = conf_worker_address(conf, i);
		struct listener *listener = &doors->workers[i];
		int err = listener_bind(listener, &address, (int)conf->backlog, 0, setup->reserve, false, setup->loop,
			setup->on_worker, setup->owner);

		if (err < 0) {
			snprintf(
				text, sizeof(text), ":%u", conf->worker_port > 0 ? (unsigned)conf->worker_port + i : 0);
			return fail(error, err, "worker_port", text,
				err == UV_EACCES ? ": run as root, or -o worker_port=5001"
						 : ": try -o worker_port=auto, or 0 for none");
		}
		fleet_worker(setup->fleet, i)->port = listener->port;
	}
	return 0;
}

/* The control socket's directory, and only that. */
static int make_directory(const char *path, bool *made)
{
	char copy[sizeof(((struct sockaddr_un *)0)->sun_path)];

	snprintf(copy, sizeof(copy), "%s", path);
	*made = mkdir(dirname(copy), 0755) == 0;
	if (!*made)
		return errno == EEXIST ? 0 : -errno;
	return chmod(copy, 0755) < 0 ? -errno : 0; /* whatever the umask */
}

static int open_control(struct doors *doors, const struct doors_setup *setup, struct outbuf *error)
{
	const char *path = setup->conf->control_socket;
	struct value_address address = { .sa_len = sizeof(struct sockaddr_un) };
	struct sockaddr_un *un = (struct sockaddr_un *)&address.sa;
	int err = make_directory(path, &doors->made_directory);

	un->sun_family = AF_UNIX;
	snprintf(un->sun_path, sizeof(un->sun_path), "%s", path);
	if (!err)
		err = listener_bind(&doors->control, &address, (int)setup->conf->backlog, 0600, setup->reserve, true,
			setup->loop, setup->on_control, setup->owner);
	if (!err)
		err = listener_listen(&doors->control);
	if (err < 0)
		return fail(error, err, "control_socket", path,
			advise(err, ": another rmsd answers there: stop it, or -o control_socket=/tmp/rmsd.sock",
				": run as root, or -o control_socket=/tmp/rmsd.sock"));
	return 0;
}

static int open_admin(struct doors *doors, const struct doors_setup *setup, struct outbuf *error)
{
	const struct value_address *address = &setup->conf->admin_listen;
	int err = listener_bind(&doors->admin, address, (int)setup->conf->backlog, 0666, setup->reserve, true,
		setup->loop, setup->on_admin, setup->owner);

	if (!err)
		err = listener_listen(&doors->admin);
	if (err < 0)
		return fail(error, err, "admin_listen", address->text,
			advise(err, " (a Prometheus here? try -o admin_listen=:9091)",
				": run as root, or -o admin_listen=:9090"));
	return 0;
}

static void add_status(struct doors *doors, const char *role, const char *worker, const char *address)
{
	doors->status[doors->n_status++] = (struct admin_listener){ role, worker, address };
}

static int write_status(struct doors *doors, struct fleet *fleet)
{
	doors->status = calloc(doors->n_publics + doors->n_workers + 1, sizeof(*doors->status));
	if (!doors->status)
		return UV_ENOMEM;
	for (unsigned i = 0; i < doors->n_publics; i++)
		add_status(doors, "public", NULL, doors->publics[i].address);
	for (unsigned i = 0; i < doors->n_workers; i++)
		if (doors->workers[i].fd >= 0)
			add_status(doors, "worker", fleet_worker(fleet, i)->name, doors->workers[i].address);
	add_status(doors, "admin", NULL, doors->admin.address);
	return 0;
}

int doors_open(struct doors *doors, const struct doors_setup *setup, struct outbuf *error)
{
	int err;

	*doors = (struct doors){ .admin.fd = -1, .control.fd = -1 };
	err = open_publics(doors, setup, error);
	if (!err)
		err = open_workers(doors, setup, error);
	if (!err)
		err = open_admin(doors, setup, error);
	if (!err)
		err = open_control(doors, setup, error);
	if (!err)
		err = write_status(doors, setup->fleet);
	if (err == UV_ENOMEM && !error->len)
		outbuf_text(error, "out of memory");
	return err;
}

/*
 * Only what is ours and of that kind, with one name: in a directory that others may write, they could have put
 * something in its place, and root would give it away.
 */
static int give(const char *path, mode_t kind, uid_t uid, gid_t gid)
{
	int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC), err = 0;
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || (st.st_mode & S_IFMT) != kind || st.st_uid != geteuid() ||
		(kind == S_IFSOCK && st.st_nlink != 1))
		err = UV_EPERM;
	else if (fchownat(fd, "", uid, gid, AT_EMPTY_PATH) < 0)
		err = -errno;
	close(fd);
	return err;
}

/* A listener whose socket has a file; fails as an address does. */
static int give_socket(const struct listener *listener, uid_t uid, gid_t gid, struct outbuf *error)
{
	int err = listener->unix_path[0] ? give(listener->unix_path, S_IFSOCK, uid, gid) : 0;

	return err < 0 ? fail(error, err, "", listener->address, ": its file could not be given to the user") : 0;
}

int doors_hand_over(struct doors *doors, uid_t uid, gid_t gid, struct outbuf *error)
{
	char copy[sizeof(doors->control.unix_path)];
	int err = give_socket(&doors->control, uid, gid, error);

	if (!err)
		err = give_socket(&doors->admin, uid, gid, error);
	for (unsigned i = 0; i < doors->n_publics && !err; i++)
		err = give_socket(&doors->publics[i], uid, gid, error);
	if (err < 0 || !doors->made_directory)
		return err;
	/* Last: from here on it is the user's to change. */
	snprintf(copy, sizeof(copy), "%s", doors->control.unix_path);
	err = give(dirname(copy), S_IFDIR, uid, gid);
	return err < 0 ? fail(error, err, "control_socket", doors->control.unix_path,
				 ": its directory could not be given to the user")
		       : 0;
}

int doors_start_admin(struct doors *doors)
{
	int err = listener_start(&doors->control);

	return err < 0 ? err : listener_start(&doors->admin);
}

int doors_start_public(struct doors *doors)
{
	int err = 0;

	for (unsigned i = 0; i < doors->n_publics && !err; i++)
		err = listener_start(&doors->publics[i]);
	return err;
}

void doors_hold_public(struct doors *doors, bool hold)
{
	for (unsigned i = 0; i < doors->n_publics; i++)
		listener_hold(&doors->publics[i], hold);
	for (unsigned i = 0; i < doors->n_workers; i++)
		listener_hold(&doors->workers[i], hold);
}

void doors_close_public(struct doors *doors)
{
	for (unsigned i = 0; i < doors->n_publics; i++)
		listener_close(&doors->publics[i]);
	for (unsigned i = 0; i < doors->n_workers; i++)
		listener_close(&doors->workers[i]);
}

void doors_close(struct doors *doors)
{
	doors_close_public(doors);
	listener_close(&doors->admin);
	listener_close(&doors->control);
}

void doors_finish(struct doors *doors)
{
	free(doors->publics);
	free(doors->workers);
	free(doors->status);
}
