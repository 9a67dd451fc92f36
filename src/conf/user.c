/* user.c - the type of the option that says whom rmsd becomes: names and numbers of the system's users and groups. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "conf/value.h"

enum { ENTRY_FIRST = 1024, ENTRY_LAST = 1 << 20 }; /* bytes that a line of the database may need */

static const char *const unknown_user = "unknown user", *const unknown_group = "unknown group",
			 *const no_memory = "out of memory", *const no_database = "the system's users cannot be read";

/* One question of the three that getpwnam_r() and its like answer: buf has size bytes, *found says whether. */
typedef int ask_fn(struct value_user *user, const char *name, char *buf, size_t size, bool *found);

static int ask_name(struct value_user *user, const char *name, char *buf, size_t size, bool *found)
{
	struct passwd entry, *is = NULL;
	int err = getpwnam_r(name, &entry, buf, size, &is);

	*found = is;
	if (is) {
		user->uid = is->pw_uid;
		user->gid = is->pw_gid;
	}
	return err;
}

/* The number is in user already. */
static int ask_number(struct value_user *user, const char *name, char *buf, size_t size, bool *found)
{
	struct passwd entry, *is = NULL;
	int err = getpwuid_r(user->uid, &entry, buf, size, &is);

	(void)name;
	*found = is;
	if (is)
		user->gid = is->pw_gid;
	return err;
}

static int ask_group(struct value_user *user, const char *name, char *buf, size_t size, bool *found)
{
	struct group entry, *is = NULL;
	int err = getgrnam_r(name, &entry, buf, size, &is);

	*found = is;
	if (is)
		user->gid = is->gr_gid;
	return err;
}

/* unknown: what to say if there is none; NULL: that is fine. */
static const char *look_up(ask_fn *ask, struct value_user *user, const char *name, const char *unknown)
{
	bool found = false;
	int err = ERANGE;

	for (size_t size = ENTRY_FIRST; err == ERANGE && size <= ENTRY_LAST; size *= 2) {
		char *buf = malloc(size);

		if (!buf)
			return no_memory;
		err = ask(user, name, buf, size, &found);
		free(buf);
	}
	/* What getpwnam(3) lists as said by one system or another of a name that is not there. */
	if (err && err != ENOENT && err != ESRCH && err != EBADF && err != EPERM)
		return no_database;
	return found ? NULL : unknown;
}

/* The last number means "leave it" to the kernel. */
static bool is_number(const char *text, uint32_t *number)
{
	uint64_t n = 0;

	if (!*text || strlen(text) > 10 || text[strspn(text, "0123456789")])
		return false;
	while (*text)
		n = n * 10 + (uint64_t)(*text++ - '0');
	*number = (uint32_t)n;
	return n < UINT32_MAX;
}

static const char *resolve(const char *name, const char *group, struct value_user *user)
{
	const char *wrong;

	if (is_number(name, &user->uid)) {
		user->gid = user->uid;
		wrong = look_up(ask_number, user, NULL, NULL);
	} else {
		wrong = look_up(ask_name, user, name, unknown_user);
		user->login = wrong ? NULL : strdup(name);
		if (!wrong && !user->login)
			wrong = no_memory;
	}
	user->group = group;
	if (!wrong && group && !is_number(group, &user->gid))
		wrong = look_up(ask_group, user, group, unknown_group);
	return wrong;
}

static void finish_user(void *value)
{
	struct value_user *user = value;

	free(user->text);
	free(user->login);
}

static const char *parse_user(
	const struct value_type *type, const char *text, const char *min, const char *max, void *value)
{
	struct value_user user = { 0 };
	const char *wrong;
	char *name, *group;

	(void)type;
	(void)min;
	(void)max;
	if (!*text)
		return NULL;
	user.text = strdup(text);
	name = strdup(text);
	group = name ? strchr(name, ':') : NULL;
	if (group)
		*group++ = '\0';
	wrong = user.text && name ? resolve(name, group, &user) : no_memory;
	free(name);
	if (wrong)
		finish_user(&user);
	else
		*(struct value_user *)value = user;
	return wrong;
}

static bool print_user(const struct value_type *type, const void *value, uint32_t i, struct outbuf *out)
{
	const struct value_user *user = value;

	(void)type;
	if (i == 0 && user->text)
		outbuf_text(out, user->text);
	return i == 0;
}

const struct value_type value_type_user = {
	.name = "user",
	.accepts = "a user of this system, or a number, either with :GROUP, such as www-data or 1000:100; or empty",
	.parse = parse_user,
	.print = print_user,
	.finish = finish_user,
};
