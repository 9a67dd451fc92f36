/*
 * value.h - one value of an option: from text, and back to text.
 *
 * Every scalar of rmsd.conf is text; the option's type says how it is read. A type is a row of functions, so that
 * whoever walks options.def needs to know none of them.
 *
 * Thread: any; no state.
 */
#ifndef RMSD_CONF_VALUE_H
#define RMSD_CONF_VALUE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include "base/outbuf.h"

enum { VALUE_NAME_MAX = 48 };

typedef uint32_t value_count;
typedef uint64_t value_bytes;    /* "512", "16k", "1m" (1024s) */
typedef uint64_t value_duration; /* milliseconds; "500ms", "15s", "2m", "1h" */
typedef uint32_t value_workers;  /* 1 to 64; "auto" is resolved when read */
typedef int32_t value_port;      /* 1 to 65535; 0 none; VALUE_PORT_AUTO any free one */
typedef char *value_path;        /* absolute, short enough for a unix socket */
typedef char *value_name;        /* a worker's, without its number */
typedef char *value_header;      /* a header's name; NULL: none */
enum { VALUE_PORT_AUTO = -1 };

enum value_balance { BALANCE_LEAST_CONN, BALANCE_ROUND_ROBIN, BALANCE_IP_HASH };
typedef enum value_balance value_balance;
enum value_restart { RESTART_ON_FAILURE, RESTART_NEVER };
typedef enum value_restart value_restart;
enum value_flag { FLAG_OFF, FLAG_ON };
typedef enum value_flag value_flag;
typedef int value_log_level;  /* enum log_level */
typedef int value_log_format; /* enum log_format */
enum value_access_format { ACCESS_COMBINED, ACCESS_JSON };
typedef enum value_access_format value_access_format;
typedef char *value_log_file; /* absolute, or VALUE_LOG_STDERR; NULL: off */
#define VALUE_LOG_STDERR "stderr"

/* Where to listen. ":80" is [::]:80 that takes IPv4 too, or 0.0.0.0:80 where there is no IPv6: any_host is set. */
struct value_address {
	struct sockaddr_storage sa;
	socklen_t sa_len;
	bool any_host;
	char text[128]; /* as written */
};
typedef struct value_address value_address;

/* Whom rmsd becomes once its addresses are bound. */
struct value_user {
	char *text;  /* as written, NAME or a number, either with :GROUP; NULL: nobody, and the rest means nothing */
	char *login; /* the name, whose other groups it has too; NULL: a number was given, and there are no others */
	uid_t uid;
	gid_t gid;
	bool group; /* was written */
};
typedef struct value_user value_user;

struct value_addresses {
	struct value_address *items;
	uint32_t n;
};
typedef struct value_addresses value_addresses;

struct value_unit {
	const char *name;
	uint64_t factor;
};

struct value_type {
	const char *name;
	const char *accepts;            /* for people; choices and bounds are added to it */
	const char *const *choices;     /* by their number, ended by NULL; NULL: not a choice */
	const struct value_unit *units; /* the smallest first, ended by a NULL name; NULL: not a number */
	bool list;
	/*
	 * Reads text into value, which is zeroed memory; a list grows by one item a call. min and max are texts of the
	 * same type, "" for none. NULL, or what is wrong, a constant; value is as it was then.
	 */
	const char *(*parse)(
		const struct value_type *type, const char *text, const char *min, const char *max, void *value);
	/* Item i of value (a scalar has item 0) as text that parse() reads; false if there is none. */
	bool (*print)(const struct value_type *type, const void *value, uint32_t i, struct outbuf *out);
	void (*finish)(void *value); /* NULL: there is nothing to free */
};

extern const struct value_type value_type_count, value_type_bytes, value_type_duration, value_type_workers,
	value_type_port, value_type_path, value_type_name, value_type_header, value_type_balance, value_type_log_level,
	value_type_log_format, value_type_access_format, value_type_log_file, value_type_restart, value_type_flag,
	value_type_address, value_type_addresses, value_type_user;

/* "a number, from 1 to 64" */
void value_accepts(const struct value_type *type, const char *min, const char *max, struct outbuf *out);
/* Whether the kernel would refuse the second: one is the other or covers it. Two of port 0 never clash. */
bool value_address_clash(const struct value_address *a, const struct value_address *b);

#endif
