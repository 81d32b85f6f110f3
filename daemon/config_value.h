/* Values of flags: what each kind may be, and the message for what it may not be. */
#ifndef SPECMAN_CONFIG_VALUE_H
#define SPECMAN_CONFIG_VALUE_H

#include <stddef.h>

#include "base/err.h"

/* What a flag's value is, and the type of its field in struct config. */
enum config_kind {
	TEXT,     /* const char *: a file, a folder, a name; not empty */
	TEXTS,    /* struct config_texts: may be repeated */
	SWITCH,   /* bool */
	DURATION, /* int64_t, milliseconds: 30s, 5m, 12h */
	INTERVAL, /* the same, or off, which is 0 */
	PERCENT,  /* int64_t: 0% to 100% */
	COUNT,    /* int64_t within its bounds */
	SIZE,     /* int64_t, bytes: 512Ki, 64Mi, 10Gi */
	LISTEN,   /* struct config_listen: may be repeated */
	CHOICE,   /* an enumeration, by its values' names */
	SECRET,   /* const char *: no flag, but a variable, that is never shown */
};

/* What a COUNT may be. */
struct bounds {
	size_t offset; /* of the field */
	int least, most;
};

/* What a CHOICE may be: the names of an enumeration's values, from 0 on. */
struct choices {
	size_t offset; /* of the field */
	unsigned count;
	const char *names[4];
};

struct config_rule {
	enum config_kind kind;
	const struct bounds *bounds;   /* of a COUNT */
	const struct choices *choices; /* of a CHOICE */
};

/*
 * Set the field to what text says; to a field that may be repeated it is added.
 * Texts are borrowed. ERR_CONFIG names `from`, which is how the operator wrote
 * the flag's name, and what the value may be.
 */
MUST_CHECK int config_value_set(const struct config_rule *rule, const char *from, const char *text,
                                void *field, struct err *err);

#endif
