/* The bodies of webhooks; see hook_body.h. */
#include "hook_body.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "base/cleanup.h"

DEFINE_CLEANUP(cleanup_json, json_t, json_decref);

static const char *text_at(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* The first names that are names. */
static void note(struct hook_news *news, const char *repository, const char *tag)
{
	if (!*news->repository && strlen(repository) < sizeof(news->repository))
		(void)snprintf(news->repository, sizeof(news->repository), "%s", repository);
	if (!*news->tag && oci_tag_is_valid(tag))
		(void)snprintf(news->tag, sizeof(news->tag), "%s", tag);
}

/* distribution, docs/content/about/notifications.md: "events", each with "action" and "target". */
static void read_events(const json_t *events, struct hook_news *news)
{
	news->sender = "distribution";
	news->events = json_array_size(events);
	news->is_only_pulls = news->events > 0;
	for (size_t i = 0; i < news->events; i++) {
		const json_t *event = json_array_get(events, i);
		const json_t *target = json_object_get(event, "target");

		if (!strcmp(text_at(event, "action"), "pull"))
			continue;
		news->is_only_pulls = false;
		note(news, text_at(target, "repository"), text_at(target, "tag"));
	}
}

/* Harbor: "type" ("PUSH_ARTIFACT", …; "pushImage" before 2.0), and "event_data". */
static void read_harbor(const json_t *body, struct hook_news *news)
{
	const char *type = text_at(body, "type");
	const json_t *data = json_object_get(body, "event_data");
	const json_t *resources = json_object_get(data, "resources");

	news->sender = "Harbor";
	news->events = 1;
	news->is_only_pulls = !strcmp(type, "PULL_ARTIFACT") || !strcmp(type, "pullImage");
	if (!news->is_only_pulls)
		note(news, text_at(json_object_get(data, "repository"), "repo_full_name"),
		     text_at(json_array_get(resources, 0), "tag"));
}

void hook_body_read(const char *body, size_t size, struct hook_news *out_news)
{
	CLEANUP(cleanup_json) json_t *root = json_loadb(body, size, 0, NULL);
	const json_t *events = json_object_get(root, "events");

	*out_news = (struct hook_news){ .sender = "" };
	if (json_is_array(events))
		read_events(events, out_news);
	else if (json_is_object(json_object_get(root, "event_data")))
		read_harbor(root, out_news);
}
