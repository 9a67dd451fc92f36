/* privileges.c - setgroups, setresgid, setresuid, and no way back. */
#include "server/privileges.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <uv.h>

#include "base/log.h"

int privileges_check(const struct value_user *user, struct outbuf *error)
{
	if (!user->text || geteuid() == 0)
		return 0;
	if (user->uid == getuid() && user->uid == geteuid() && (!user->group || user->gid == getegid()))
		return 0;
	outbuf_printf(
		error, "user %s: rmsd is not root: start it as root or as that user, or leave user out", user->text);
	return UV_EPERM;
}

bool privileges_to_drop(const struct value_user *user)
{
	return user->text && geteuid() == 0;
}

/* Groups first: they take root to change. */
static int become(const struct value_user *user)
{
	if ((user->login ? initgroups(user->login, user->gid) : setgroups(0, NULL)) < 0)
		return -errno;
	if (setresgid(user->gid, user->gid, user->gid) < 0 || setresuid(user->uid, user->uid, user->uid) < 0)
		return -errno;
	return 0;
}

/* The kernel empties the sets of who leaves root, unless somebody has told it not to (capabilities(7), securebits). */
static bool has_capabilities(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = { 0 };

	return syscall(SYS_capget, &head, sets) < 0 || sets[0].effective || sets[0].permitted || sets[1].effective ||
		sets[1].permitted;
}

/* By asking the kernel, and by trying. */
static bool is_for_good(const struct value_user *user)
{
	uid_t uid, euid, suid;
	gid_t gid, egid, sgid;

	if (getresuid(&uid, &euid, &suid) < 0 || uid != user->uid || euid != user->uid || suid != user->uid)
		return false;
	if (getresgid(&gid, &egid, &sgid) < 0 || gid != user->gid || egid != user->gid || sgid != user->gid)
		return false;
	if (user->uid == 0)
		return true;
	return !has_capabilities() && setuid(0) < 0 && seteuid(0) < 0 && (user->gid == 0 || setgid(0) < 0);
}

int privileges_drop(const struct value_user *user, struct outbuf *error)
{
	int dumpable = prctl(PR_GET_DUMPABLE), err;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		err = -errno;
		outbuf_printf(error, "no_new_privs: %s: the kernel is too old", uv_strerror(err));
		return err;
	}
	if (!privileges_to_drop(user))
		return 0;
	err = become(user);
	if (err < 0) {
		outbuf_printf(error,
			"user %s: %s: root needs CAP_SETUID and CAP_SETGID for it; or start rmsd as that user",
			user->text, uv_strerror(err));
		return err;
	}
	if (!is_for_good(user)) {
		outbuf_printf(error, "user %s: rmsd could become root again: start it without securebits", user->text);
		return UV_EPERM;
	}
	/* Cleared by the change. No secret was read as root: a crash may leave a core, as that user's programs do. */
	if (dumpable == 1)
		prctl(PR_SET_DUMPABLE, 1);
	return 0;
}

void privileges_tell(const struct value_user *user)
{
	char name[80];

	if (user->text && geteuid() != 0)
		log_info("rmsd runs as its user", "user=%s uid=%lu gid=%lu groups=%d",
			log_word(name, sizeof(name), user->text), (unsigned long)geteuid(), (unsigned long)getegid(),
			getgroups(0, NULL));
	else if (geteuid() == 0)
		log_warn("rmsd runs as root",
			"remedy=\"set user, such as -o user=www-data: it is root until its ports are bound, and no "
			"longer\"");
}
