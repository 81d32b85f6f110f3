/*
 * The history: a line for each change of a tag, so that it can be told later
 * what was served when. Text, appended and made durable; a torn last line, as a
 * crash leaves it (cut off, or zeros in its place), is passed over by readers and
 * ended by the next writer.
 *
 *	2024-12-06T12:43:14.000Z 4.5.15 sha256:<from> sha256:<to>[ sha256:<key>]
 *
 * "-" stands for no release; the fifth field is the fingerprint of the key that signed it, where
 * it had to be signed. Readers ignore what comes behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/timestamp.h"
#include "store.h"

static const char name[] = "history", older[] = "history.1";

enum { HISTORY_MAX_BYTES = 1024 * 1024, HISTORY_LINE_SIZE = 640 };

static const char *format(const struct digest *digest, char text[static DIGEST_TEXT_SIZE])
{
	return digest ? digest_format(digest, text) : "-";
}

/* Open for appending; a full one makes way first. */
static int open_history(int root, size_t room, struct err *err)
{
	struct stat st;
	bool is_new = fstatat(root, name, &st, AT_SYMLINK_NOFOLLOW) != 0;
	int fd;

	if (!is_new && (uint64_t)st.st_size + room > HISTORY_MAX_BYTES) {
		if (renameat(root, name, root, older))
			return err_set_sys(err, errno, "rename %s", name);
		is_new = true;
	}
	fd = openat(root, name, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd < 0 || (is_new && io_sync_names(root))) {
		(void)err_set_sys(err, errno, "open %s", name);
		cleanup_fd(&fd);
		return -1;
	}
	return fd;
}

static int append(int root, const char *line, size_t length, struct err *err)
{
	CLEANUP(cleanup_fd) int fd = open_history(root, length + 1, err);
	char last = '\n';
	struct stat st;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) || (st.st_size && pread(fd, &last, 1, st.st_size - 1) != 1))
		return err_set_sys(err, errno, "read %s", name);
	if ((last != '\n' && io_write_all(fd, "\n", 1, name, err)) ||
	    io_write_all(fd, line, length, name, err))
		return -1;
	return fsync(fd) ? err_set_sys(err, errno, "sync %s", name) : 0;
}

void history_note(struct store *store, int64_t when_ms, const char *tag, const struct digest *from,
                  const struct digest *to, const struct digest *signer)
{
	char line[HISTORY_LINE_SIZE], when[TIMESTAMP_SIZE];
	char from_text[DIGEST_TEXT_SIZE], to_text[DIGEST_TEXT_SIZE], key[DIGEST_TEXT_SIZE] = "";
	struct err err;
	int length = snprintf(line, sizeof(line), "%s %s %s %s%s%s\n",
	                      timestamp_format(when_ms, when), tag, format(from, from_text),
	                      format(to, to_text), signer ? " " : "",
	                      signer ? digest_format(signer, key) : "");

	if (append(store->layout.root, line, (size_t)length, &err))
		store_tell(store, STORE_HISTORY_LOST, tag, err.msg);
}

/* ---- reading ---- */

static int parse_digest(const char *text, bool *out_has, struct digest *out_digest)
{
	struct err unneeded;

	*out_has = strcmp(text, "-") != 0;
	return *out_has ? digest_parse(text, out_digest, &unneeded) : 0;
}

/* False for a line that was torn. */
static bool parse(char *line, struct store_change *change)
{
	char *fields[4], *rest = line;
	const char *key;
	struct err unneeded;

	*change = (struct store_change){ .had_release = false };
	for (size_t i = 0; i < 4; i++) {
		fields[i] = strsep(&rest, " ");
		if (!fields[i] || !*fields[i])
			return false;
	}
	if (timestamp_parse(fields[0], &change->when_ms) ||
	    strlen(fields[1]) >= sizeof(change->tag))
		return false;
	(void)strcpy(change->tag, fields[1]);
	key = strsep(&rest, " ");
	change->is_signed = key && !digest_parse(key, &change->signer, &unneeded);
	return !parse_digest(fields[2], &change->had_release, &change->from) &&
	       !parse_digest(fields[3], &change->has_release, &change->to);
}

static int read_file(int root, const char *file, store_history_visitor *visit, void *ctx,
                     struct err *err)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(HISTORY_MAX_BYTES + HISTORY_LINE_SIZE);
	struct store_change change;
	char *line, *newline;
	size_t left;

	if (io_read_file(root, file, &text, err))
		return err->kind == ERR_NOT_FOUND ? 0 : -1;
	line = text.data;
	left = text.size;
	while (left && (newline = memchr(line, '\n', left))) {
		size_t length = (size_t)(newline - line);

		*newline = '\0';
		if (strlen(line) == length && parse(line, &change) && visit(ctx, &change, err))
			return -1;
		line = newline + 1;
		left -= length + 1;
	}
	return 0;
}

int store_history(struct store *store, store_history_visitor *visit, void *ctx, struct err *err)
{
	return read_file(store->layout.root, older, visit, ctx, err) ||
	                       read_file(store->layout.root, name, visit, ctx, err)
	               ? -1
	               : 0;
}

struct finding {
	const char *tag;
	const struct digest *manifest;
	int64_t when_ms; /* -1: not found */
};

static int find_change(void *ctx, const struct store_change *change, struct err *err)
{
	struct finding *finding = ctx;

	(void)err;
	if (!strcmp(change->tag, finding->tag))
		finding->when_ms = change->has_release &&
		                                   digest_equal(&change->to, finding->manifest)
		                           ? change->when_ms
		                           : -1;
	return 0;
}

bool history_find(struct store *store, const char *tag, const struct digest *manifest,
                  int64_t *out_when_ms)
{
	struct finding finding = { tag, manifest, -1 };
	struct err unneeded;

	if (store_history(store, find_change, &finding, &unneeded) || finding.when_ms < 0)
		return false;
	*out_when_ms = finding.when_ms;
	return true;
}
