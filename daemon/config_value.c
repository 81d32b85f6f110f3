/* Values of flags; see config_value.h. */
#include "config_value.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "config.h"
#include "unit.h"

enum { TEXT_MAX_BYTES = PATH_MAX - 1 };

static int set_secret(const char *from, const char *text, void *field, struct err *err)
{
	if (!*text)
		return err_set(err, ERR_CONFIG, "%s is empty", from);
	if (strlen(text) > TEXT_MAX_BYTES)
		return err_set(err, ERR_CONFIG, "%s has %zu bytes, and may have %d", from,
		               strlen(text), TEXT_MAX_BYTES);
	memcpy(field, &text, sizeof(text));
	return 0;
}

/* A line end comes from a file or a block of YAML, and makes a name that is not there. */
static int set_text(const char *from, const char *text, void *field, struct err *err)
{
	for (const char *at = text; *at; at++)
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
			return err_set(err, ERR_CONFIG,
			               "%s is \"%.80s\", and may have no control character (here "
			               "0x%02x at byte %zu)",
			               from, text, (unsigned char)*at, (size_t)(at - text) + 1);
	return set_secret(from, text, field, err);
}

static int add_text(struct config_texts *texts, const char *from, const char *text, struct err *err)
{
	if (texts->count == CONFIG_TEXTS_MAX)
		return err_set(err, ERR_CONFIG, "%s is given more than %d times", from,
		               CONFIG_TEXTS_MAX);
	if (set_text(from, text, &texts->at[texts->count], err))
		return -1;
	texts->count++;
	return 0;
}

static int set_choice(const struct choices *allowed, const char *from, const char *text,
                      void *field, struct err *err)
{
	char list[80] = "";
	size_t length = 0;

	for (unsigned i = 0; i < allowed->count; i++) {
		const char *between = !i ? "" : i + 1 < allowed->count ? ", " : " or ";

		if (!strcmp(text, allowed->names[i])) {
			memcpy(field, &i, sizeof(i));
			return 0;
		}
		length += (size_t)snprintf(list + length, sizeof(list) - length, "%s%s", between,
		                           allowed->names[i]);
	}
	return err_set(err, ERR_CONFIG, "%s is \"%.80s\", and may be %s", from, text, list);
}

static int add_listener(struct config_listen *list, const char *from, const char *text,
                        struct err *err)
{
	if (list->count == CONFIG_LISTEN_MAX)
		return err_set(err, ERR_CONFIG, "%s is given more than %d times", from,
		               CONFIG_LISTEN_MAX);
	if (listen_parse(text, &list->at[list->count], err))
		return err_context(err, "%s", from);
	list->count++;
	return 0;
}

static int set_count(const struct bounds *allowed, const char *from, const char *text,
                     int64_t *field, struct err *err)
{
	const char *end;

	if (unit_parse_count(text, allowed->least, allowed->most, &end, field) || *end)
		return err_set(err, ERR_CONFIG, "%s is \"%.80s\", and may be %d to %d", from, text,
		               allowed->least, allowed->most);
	return 0;
}

static int set_percent(const char *from, const char *text, int64_t *field, struct err *err)
{
	const char *end;

	if (unit_parse_count(text, 0, 100, &end, field) || strcmp(end, "%") != 0)
		return err_set(err, ERR_CONFIG, "%s is \"%.80s\", and may be 0%% to 100%%", from,
		               text);
	return 0;
}

static int set_switch(const char *from, const char *text, bool *field, struct err *err)
{
	if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
		return err_set(err, ERR_CONFIG, "%s is \"%.80s\", and may be true or false", from,
		               text);
	*field = *text == 't';
	return 0;
}

static int set_duration(const char *from, const char *text, int64_t *field, struct err *err)
{
	if (unit_parse_duration(text, field))
		return err_set(
			err, ERR_CONFIG,
			"%s is \"%.80s\", and may be a time such as 30s, 5m or 12h, up to 8760h",
			from, text);
	return 0;
}

static int set_interval(const char *from, const char *text, int64_t *field, struct err *err)
{
	if (!strcmp(text, "off") || !strcmp(text, "0"))
		*field = 0;
	else if (unit_parse_duration(text, field))
		return err_set(
			err, ERR_CONFIG,
			"%s is \"%.80s\", and may be a time such as 12h, up to 8760h, or off", from,
			text);
	return 0;
}

static int set_size(const char *from, const char *text, int64_t *field, struct err *err)
{
	if (unit_parse_size(text, field))
		return err_set(err, ERR_CONFIG,
		               "%s is \"%.80s\", and may be a size such as 512Ki, 64Mi or 10Gi",
		               from, text);
	return 0;
}

int config_value_set(const struct config_rule *rule, const char *from, const char *text,
                     void *field, struct err *err)
{
	switch (rule->kind) {
	case TEXT:
		return set_text(from, text, field, err);
	case TEXTS:
		return add_text(field, from, text, err);
	case SWITCH:
		return set_switch(from, text, field, err);
	case DURATION:
		return set_duration(from, text, field, err);
	case INTERVAL:
		return set_interval(from, text, field, err);
	case PERCENT:
		return set_percent(from, text, field, err);
	case COUNT:
		return set_count(rule->bounds, from, text, field, err);
	case SIZE:
		return set_size(from, text, field, err);
	case LISTEN:
		return add_listener(field, from, text, err);
	case CHOICE:
		return set_choice(rule->choices, from, text, field, err);
	case SECRET:
		return set_secret(from, text, field, err);
	}
	return 0;
}
